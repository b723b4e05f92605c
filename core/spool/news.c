/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/news.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"

enum { UNREAD_MAX = 256 };

/* ---- pending results ------------------------------------------------------------------------- */

static const size_t texts_of_row[] = {
	offsetof(struct result_row, result.dsn),
	offsetof(struct result_row, result.reason),
	offsetof(struct result_row, result.mta),
	offsetof(struct result_row, result.diagnostic),
};
enum { TEXTS = sizeof texts_of_row / sizeof texts_of_row[0] };

static const char **text_at(struct result_row *row, size_t i)
{
	return (const char **)(void *)((char *)row + texts_of_row[i]);
}

struct pending *pending_new(uint32_t log, const struct result_row *row)
{
	struct result_row copy = *row;
	size_t size = 0;
	for (size_t i = 0; i < TEXTS; i++)
		size += *text_at(&copy, i) ? strlen(*text_at(&copy, i)) + 1 : 0;
	struct pending *p = mem_alloc(sizeof *p + size);
	*p = (struct pending){ .log = log, .row = copy };
	char *at = p->texts;
	for (size_t i = 0; i < TEXTS; i++) {
		const char **text = text_at(&p->row, i);
		if (!*text)
			continue;
		size_t n = strlen(*text) + 1;
		*text = memcpy(at, *text, n);
		at += n;
	}
	return p;
}

void pending_free(struct pending *p)
{
	while (p) {
		struct pending *next = p->next;
		free(p);
		p = next;
	}
}

/* ---- jobs and news --------------------------------------------------------------------------- */

struct job *job_new(enum job_kind kind)
{
	struct job *j = MEM_NEW(struct job);
	j->kind = kind;
	return j;
}

void job_free(struct job *j)
{
	if (!j)
		return;
	arena_destroy(&j->arena);
	free(j->stretches);
	free(j->serials);
	free(j->file);
	free(j);
}

struct news *news_new(enum news_kind kind)
{
	struct news *n = MEM_NEW(struct news);
	n->kind = kind;
	return n;
}

void news_free(struct news *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->nfound; i++)
		pending_free(n->found[i].pending);
	pending_free(n->results);
	job_free(n->job);
	free(n->found);
	free(n->serials);
	arena_destroy(&n->arena);
	free(n);
}

/* ---- the queues ------------------------------------------------------------------------------ */

struct post {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t more_jobs, more_news, less_news;
	struct job *first_job, **last_job;
	struct news *first_news, **last_news;
	size_t unread;
	int event; /* an eventfd: not zero while there is news */
};

struct post *post_new(void)
{
	struct post *p = MEM_NEW(struct post);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more_jobs, &attr);
	pthread_cond_init(&p->more_news, &attr);
	pthread_cond_init(&p->less_news, &attr);
	pthread_condattr_destroy(&attr);
	p->last_job = &p->first_job;
	p->last_news = &p->first_news;
	p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->event < 0)
		log_fatal("spool: eventfd: errno %d", errno);
	return p;
}

void post_free(struct post **pp)
{
	struct post *p = *pp;
	if (!p)
		return;
	for (struct job *j = p->first_job, *next; j; j = next) {
		next = j->next;
		job_free(j);
	}
	for (struct news *n = p->first_news, *next; n; n = next) {
		next = n->next;
		news_free(n);
	}
	io_close(&p->event);
	pthread_cond_destroy(&p->more_jobs);
	pthread_cond_destroy(&p->more_news);
	pthread_cond_destroy(&p->less_news);
	pthread_mutex_destroy(&p->lock);
	free(p);
	*pp = NULL;
}

int post_fd(const struct post *p)
{
	return p->event;
}

void post_job(struct post *p, struct job *j)
{
	j->next = NULL;
	pthread_mutex_lock(&p->lock);
	bool first = !p->first_job;
	*p->last_job = j;
	p->last_job = &j->next;
	if (first)
		pthread_cond_signal(&p->more_jobs);
	pthread_mutex_unlock(&p->lock);
}

/* Empties the queue of jobs. Called with the lock held. */
static struct job *take_jobs(struct post *p)
{
	struct job *jobs = p->first_job;
	p->first_job = NULL;
	p->last_job = &p->first_job;
	return jobs;
}

struct job *post_take_jobs(struct post *p, int64_t deadline)
{
	struct timespec until = { .tv_sec = deadline / CLOCK_SECOND,
				  .tv_nsec = deadline % CLOCK_SECOND * 1000 };
	pthread_mutex_lock(&p->lock);
	while (!p->first_job && pthread_cond_timedwait(&p->more_jobs, &p->lock, &until) != ETIMEDOUT)
		;
	struct job *jobs = take_jobs(p);
	pthread_mutex_unlock(&p->lock);
	return jobs;
}

struct job *post_take_jobs_at_once(struct post *p)
{
	pthread_mutex_lock(&p->lock);
	struct job *jobs = take_jobs(p);
	pthread_mutex_unlock(&p->lock);
	return jobs;
}

/* Makes the descriptor readable. */
static void ring(struct post *p)
{
	static const uint64_t one = 1;
	if (write(p->event, &one, sizeof one) < 0 && errno != EAGAIN)
		log_error("spool: eventfd: errno %d", errno);
}

void post_news(struct post *p, struct news *n)
{
	n->next = NULL;
	pthread_mutex_lock(&p->lock);
	while (p->unread >= UNREAD_MAX && n->kind != NEWS_JOB)
		pthread_cond_wait(&p->less_news, &p->lock);
	bool first = !p->first_news;
	*p->last_news = n;
	p->last_news = &n->next;
	p->unread++;
	if (first)
		pthread_cond_signal(&p->more_news);
	pthread_mutex_unlock(&p->lock);
	if (first)
		ring(p);
}

struct news *post_take_news(struct post *p, size_t most)
{
	uint64_t count;
	(void)!read(p->event, &count, sizeof count); /* before the look: what comes after it sets it again */
	pthread_mutex_lock(&p->lock);
	struct news *n = p->first_news, **end = &p->first_news;
	for (; *end && most > 0; most--) {
		end = &(*end)->next;
		p->unread--;
	}
	p->first_news = *end;
	*end = NULL;
	bool more = p->first_news;
	if (!more)
		p->last_news = &p->first_news;
	pthread_cond_signal(&p->less_news);
	pthread_mutex_unlock(&p->lock);
	if (more)
		ring(p);
	return n;
}

bool post_wait_news(struct post *p)
{
	pthread_mutex_lock(&p->lock);
	while (!p->first_news)
		pthread_cond_wait(&p->more_news, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return true;
}
