/* SPDX-License-Identifier: Apache-2.0 */
#include "process/hints.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/protocol.h"

struct hints {
	struct worker *worker;
	struct spool_writer *writer;
	pthread_t thread;
	bool running;
	atomic_bool stop;
	pthread_mutex_t lock; /* guards link */
	struct ipc_link *link; /* non-blocking; NULL: none now */
};

struct hints *hints_new(struct worker *w)
{
	struct hints *h = MEM_NEW(struct hints);
	h->worker = w;
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

void hints_send(void *ctx, const void *hint, size_t len)
{
	struct hints *h = ctx;
	pthread_mutex_lock(&h->lock);
	if (h->link)
		(void)ipc_send(h->link, M_HINT, hint, len); /* a dead link is seen by the thread */
	pthread_mutex_unlock(&h->lock);
}

/* Takes the link away, or puts a new one in place. */
static void set_link(struct hints *h, struct ipc_link *link)
{
	pthread_mutex_lock(&h->lock);
	struct ipc_link *old = h->link;
	h->link = link;
	pthread_mutex_unlock(&h->lock);
	ipc_link_destroy(&old);
}

/* Until the queue manager is gone: sends what had to wait. It has nothing to say to us. */
static void watch(struct hints *h)
{
	struct ipc_message m;
	while (!atomic_load(&h->stop)) {
		enum ipc_got got = ipc_receive(h->link, &m, clock_mono() + CLOCK_SECOND);
		if (got == IPC_CLOSED || (ipc_link_pending(h->link) && !ipc_link_flush(h->link)))
			return;
	}
}

static void *thread_main(void *arg)
{
	struct hints *h = arg;
	while (!atomic_load(&h->stop)) {
		struct ost_why why = { "" };
		struct ipc_link *link = worker_connect(h->worker, "qmgr", &why);
		if (!link) {
			log_debug("qmgr: %s", why.text);
			sleep(1);
			continue;
		}
		struct buf report = BUF_INIT;
		ipc_link_set_nonblock(link, true);
		spool_writer_report(h->writer, &report);
		if (report.len)
			(void)ipc_send(link, M_HINT, report.data, report.len);
		buf_free(&report);
		set_link(h, link);
		watch(h);
		set_link(h, NULL);
	}
	return NULL;
}

void hints_start(struct hints *h, struct spool_writer *writer)
{
	h->writer = writer;
	int error = pthread_create(&h->thread, NULL, thread_main, h);
	if (error) /* without it nobody would hear of what is stored here: better another process, later */
		log_fatal("cannot start the thread that talks to qmgr: %s", strerror(error));
	h->running = true;
}

void hints_stop(struct hints **hp)
{
	struct hints *h = *hp;
	if (!h)
		return;
	atomic_store(&h->stop, true);
	if (h->running)
		pthread_join(h->thread, NULL);
	pthread_mutex_destroy(&h->lock);
	free(h);
	*hp = NULL;
}
