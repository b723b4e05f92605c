/* SPDX-License-Identifier: Apache-2.0 */
#include "base/waiter.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "base/waitheap.h"

#define WAITER_MAGIC 0x3a17e201u

/* What an epoll event's number means besides an entry: the low half is an index into slots, the high half the slot's
 * generation, so that an event that was on its way when its entry went does not reach a successor. */
enum { TIMER_SLOT = 0, STOP_SLOT = 1, FIRST_SLOT = 2 };
enum { BATCH = 16 }; /* events that a thread takes out of the epoll at once, when no other thread looks for work */

enum entry_state { ENTRY_HELD, ENTRY_PARKED, ENTRY_READY, ENTRY_LISTENER };

struct wait_entry {
	struct heap_item timer; /* first: the heap's link */
	int fd;
	enum entry_state state;
	enum wait_for want; /* of the last park */
	bool registered;  /* fd is known to the epoll */
	bool wake_early;  /* woken while held: the next park ends at once */
	bool missed;      /* an event came while none was waited for: the epoll has to look again */
	bool hung_up;     /* the other side has closed: there will be no more news */
	bool listed;      /* a listener that is in the ready list */
	unsigned armed;   /* what the epoll reports of fd, as it was told last; 0: nothing */
	enum wait_why why; /* in state READY */
	uint32_t slot;
	int64_t deadline; /* the true one; the heap may know an earlier one */
	struct wait_entry *next; /* ready list */
	void *owner;
};

struct slot {
	struct wait_entry *entry; /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

struct waiter {
	unsigned magic;
	int epoll, timer, stop;
	atomic_bool stopping;
	atomic_size_t parked;
	pthread_mutex_t lock; /* guards all below, and every entry that is not held */
	struct slot *slots;
	size_t nslots, cap;
	uint32_t free_slot; /* 0: none */
	struct heap heap;
	int64_t armed;      /* what the timer is set to; CLOCK_NEVER: not set */
	struct wait_entry *ready, **ready_end;
	size_t looking;     /* threads in epoll_wait(), or about to be: they do not see the ready list */
};

static uint64_t event_number(const struct waiter *w, uint32_t slot)
{
	return (uint64_t)w->slots[slot].generation << 32 | slot;
}

/* One of the two descriptors that the waiter itself has in its epoll. */
static void add_own(struct waiter *w, int fd, uint32_t slot, unsigned events)
{
	struct epoll_event ev = { .events = events, .data.u64 = slot };
	if (fd < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		log_fatal("waiter: %s", strerror(errno));
}

struct waiter *waiter_new(void)
{
	struct waiter *w = MEM_NEW(struct waiter);
	w->magic = WAITER_MAGIC;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	w->stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->epoll < 0)
		log_fatal("waiter: epoll: %s", strerror(errno));
	add_own(w, w->timer, TIMER_SLOT, EPOLLIN | EPOLLET);
	add_own(w, w->stop, STOP_SLOT, EPOLLIN);
	pthread_mutex_init(&w->lock, NULL);
	w->cap = 64;
	w->slots = mem_zalloc(w->cap * sizeof *w->slots);
	w->nslots = FIRST_SLOT;
	w->armed = CLOCK_NEVER;
	w->ready_end = &w->ready;
	return w;
}

void waiter_destroy(struct waiter **wp)
{
	struct waiter *w = *wp;
	if (!w)
		return;
	CHECK_MAGIC(w, WAITER_MAGIC);
	for (size_t i = FIRST_SLOT; i < w->nslots; i++)
		assert(!w->slots[i].entry);
	close(w->epoll);
	close(w->timer);
	close(w->stop);
	heap_free(&w->heap);
	pthread_mutex_destroy(&w->lock);
	free(w->slots);
	w->magic = 0;
	free(w);
	*wp = NULL;
}

/* Under the lock: a slot for a new entry. */
static struct wait_entry *new_entry(struct waiter *w, int fd, void *owner, enum entry_state state)
{
	struct wait_entry *e = MEM_NEW(struct wait_entry);
	e->fd = fd;
	e->owner = owner;
	e->state = state;
	e->slot = w->free_slot;
	if (e->slot) {
		w->free_slot = w->slots[e->slot].next_free;
	} else {
		if (w->nslots == w->cap) {
			w->cap *= 2;
			w->slots = mem_realloc_array(w->slots, w->cap, sizeof *w->slots);
		}
		e->slot = (uint32_t)w->nslots++;
		w->slots[e->slot].generation = 0;
	}
	w->slots[e->slot].entry = e;
	w->slots[e->slot].generation++;
	return e;
}

/* Under the lock: takes a listener out of the ready list. */
static void unlist(struct waiter *w, struct wait_entry *e)
{
	struct wait_entry **at = &w->ready;
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	if (!*at)
		w->ready_end = at;
}

/* Under the lock: frees entry and slot. */
static void drop_entry(struct waiter *w, struct wait_entry *e)
{
	if (e->listed)
		unlist(w, e);
	heap_remove(&w->heap, &e->timer);
	w->slots[e->slot].entry = NULL;
	w->slots[e->slot].next_free = w->free_slot;
	w->free_slot = e->slot;
	free(e);
}

struct wait_entry *waiter_listen(struct waiter *w, int fd, void *owner)
{
	CHECK_MAGIC(w, WAITER_MAGIC);
	pthread_mutex_lock(&w->lock);
	struct wait_entry *e = new_entry(w, fd, owner, ENTRY_LISTENER);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.u64 = event_number(w, e->slot) };
	pthread_mutex_unlock(&w->lock);
	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		log_fatal("waiter: listen: %s", strerror(errno));
	e->registered = true;
	return e;
}

void waiter_unlisten(struct waiter *w, struct wait_entry **ep)
{
	struct wait_entry *e = *ep;
	if (!e)
		return;
	assert(e->state == ENTRY_LISTENER);
	waiter_remove(w, ep);
}

struct wait_entry *waiter_add(struct waiter *w, int fd, void *owner)
{
	CHECK_MAGIC(w, WAITER_MAGIC);
	pthread_mutex_lock(&w->lock);
	struct wait_entry *e = new_entry(w, fd, owner, ENTRY_HELD);
	pthread_mutex_unlock(&w->lock);
	return e;
}

void waiter_remove(struct waiter *w, struct wait_entry **ep)
{
	struct wait_entry *e = *ep;
	if (!e)
		return;
	CHECK_MAGIC(w, WAITER_MAGIC);
	assert(e->state == ENTRY_HELD || e->state == ENTRY_LISTENER);
	if (e->registered)
		(void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, e->fd, NULL);
	waiter_remove_closing(w, ep);
}

void waiter_remove_closing(struct waiter *w, struct wait_entry **ep)
{
	if (!*ep)
		return;
	pthread_mutex_lock(&w->lock);
	drop_entry(w, *ep);
	pthread_mutex_unlock(&w->lock);
	*ep = NULL;
}

/* Under the lock: sets the timer when it has to go off earlier than it would. */
static void arm_timer(struct waiter *w)
{
	const struct heap_item *first = heap_first(&w->heap);
	int64_t at = first ? first->key : CLOCK_NEVER;
	if (at >= w->armed)
		return;
	int64_t tick = at > 0 ? at : 1;
	struct itimerspec spec = { .it_value = { tick / CLOCK_SECOND, tick % CLOCK_SECOND * 1000 } };
	if (timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
		log_panic("waiter: timerfd_settime: %s", strerror(errno));
	w->armed = at;
}

/* Under the lock: to the end of the ready list. */
static void enlist(struct waiter *w, struct wait_entry *e, enum wait_why why)
{
	e->why = why;
	e->next = NULL;
	*w->ready_end = e;
	w->ready_end = &e->next;
}

/* Under the lock: a parked entry becomes ready; somebody has to be told. */
static void make_ready(struct waiter *w, struct wait_entry *e, enum wait_why why)
{
	e->state = ENTRY_READY;
	enlist(w, e, why);
	atomic_fetch_sub_explicit(&w->parked, 1, memory_order_relaxed);
}

/* Under the lock: makes one waiting thread look at the ready list: the timer goes off now. Threads that do not wait look at
 * it before they do. */
static void kick(struct waiter *w)
{
	struct itimerspec spec = { .it_value = { 0, 1 } };
	if (w->armed == 0 || w->looking == 0)
		return; /* on its way already, or not needed */
	w->armed = 0;
	if (timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
		log_panic("waiter: timerfd_settime: %s", strerror(errno));
}

/* What the epoll is asked to report. */
static unsigned events_of(enum wait_for want)
{
	return (want & WAIT_NEWS ? EPOLLET : EPOLLONESHOT) | (want & WAIT_READ ? EPOLLIN | EPOLLRDHUP : 0u) |
	       (want & WAIT_WRITE ? EPOLLOUT : 0u);
}

/* Under the lock: sees to it that an event of a parked entry's descriptor is reported, one that is there already too. Under
 * the lock because the descriptor is the entry's for so long only: another thread might take it up and close it. */
static bool arm(struct waiter *w, struct wait_entry *e)
{
	unsigned events = events_of(e->want);
	bool known = e->want & WAIT_NEWS && e->armed == events && !e->missed && !e->hung_up;
	e->missed = false;
	if (known)
		return true;
	struct epoll_event ev = { .events = events, .data.u64 = event_number(w, e->slot) };
	int op = e->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	e->registered = true;
	e->armed = events;
	return epoll_ctl(w->epoll, op, e->fd, &ev) == 0;
}

void waiter_park(struct waiter *w, struct wait_entry *e, enum wait_for want, int64_t deadline)
{
	CHECK_MAGIC(w, WAITER_MAGIC);
	pthread_mutex_lock(&w->lock);
	assert(e->state == ENTRY_HELD && (want == WAIT_NOTHING || e->fd >= 0));
	e->state = ENTRY_PARKED;
	e->want = want;
	e->deadline = deadline;
	atomic_fetch_add_explicit(&w->parked, 1, memory_order_relaxed);
	if (e->wake_early) {
		e->wake_early = false;
		make_ready(w, e, WAITED_WAKE);
		kick(w);
		pthread_mutex_unlock(&w->lock);
		return;
	}
	if (deadline != CLOCK_NEVER && !heap_within(&e->timer, deadline)) {
		heap_set(&w->heap, &e->timer, deadline);
		arm_timer(w);
	}
	if (want != WAIT_NOTHING && !arm(w, e)) {
		log_error("waiter: epoll_ctl: %s", strerror(errno));
		make_ready(w, e, WAITED_DEADLINE);
		kick(w);
	}
	pthread_mutex_unlock(&w->lock);
}

void waiter_wake_locked(struct waiter *w, struct wait_entry *e)
{
	if (e->state == ENTRY_PARKED) {
		make_ready(w, e, WAITED_WAKE);
		kick(w);
	} else if (e->state == ENTRY_HELD) {
		e->wake_early = true;
	}
}

void waiter_wake(struct waiter *w, struct wait_entry *e)
{
	CHECK_MAGIC(w, WAITER_MAGIC);
	pthread_mutex_lock(&w->lock);
	waiter_wake_locked(w, e);
	pthread_mutex_unlock(&w->lock);
}

/* Under the lock: the first ready entry goes to the caller; WAITED_NOTHING: there is none. */
static enum wait_why pop_ready(struct waiter *w, void **owner)
{
	struct wait_entry *e = w->ready;
	if (!e)
		return WAITED_NOTHING;
	w->ready = e->next;
	if (!w->ready)
		w->ready_end = &w->ready;
	if (e->state == ENTRY_READY)
		e->state = ENTRY_HELD;
	e->listed = false;
	*owner = e->owner;
	return e->why;
}

/* Under the lock: entries whose time has come move to the ready list, the timer is set for the next one. */
static void expire(struct waiter *w, int64_t now)
{
	struct heap_item *first;
	while ((first = heap_first(&w->heap)) && first->key <= now) {
		struct wait_entry *e = (struct wait_entry *)first;
		heap_remove(&w->heap, first);
		if (e->state != ENTRY_PARKED || e->deadline == CLOCK_NEVER)
			continue;
		if (e->deadline > now)
			heap_set(&w->heap, &e->timer, e->deadline);
		else
			make_ready(w, e, WAITED_DEADLINE);
	}
	w->armed = CLOCK_NEVER;
	arm_timer(w);
}

/* Under the lock: an event of a descriptor. Its entry may have been taken otherwise meanwhile, or be gone. */
static void note_event(struct waiter *w, const struct epoll_event *ev)
{
	uint32_t slot = (uint32_t)ev->data.u64;
	struct wait_entry *e = slot < w->nslots ? w->slots[slot].entry : NULL;
	if (!e || event_number(w, slot) != ev->data.u64)
		return;
	if (e->state == ENTRY_LISTENER) {
		if (!e->listed)
			enlist(w, e, WAITED_LISTENER);
		e->listed = true;
		return;
	}
	if (ev->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		e->hung_up = true;
	if (e->armed & EPOLLONESHOT)
		e->armed = 0;
	if (e->state == ENTRY_PARKED && e->want != WAIT_NOTHING)
		make_ready(w, e, WAITED_IO);
	else if (e->state != ENTRY_READY) /* whoever takes it up from there has not read yet */
		e->missed = true;
}

/* Under the lock: what epoll_wait() gave goes to the ready list. Answers false when one of them is the end. */
static bool note_events(struct waiter *w, const struct epoll_event *events, int n)
{
	bool go_on = true;
	for (int i = 0; i < n; i++) {
		uint64_t ticks;
		switch (events[i].data.u64) {
		case TIMER_SLOT: /* a deadline, or somebody was woken */
			(void)!read(w->timer, &ticks, sizeof ticks);
			expire(w, clock_mono());
			break;
		case STOP_SLOT:
			go_on = false;
			break;
		default:
			note_event(w, &events[i]);
		}
	}
	return go_on;
}

/* Waits for events. What a thread gets beyond its first is anybody's; while others look for work, it gets one alone. */
static enum wait_why look(struct waiter *w, int timeout_ms, int max, void **owner)
{
	struct epoll_event events[BATCH];
	log_flush();
	int n = epoll_wait(w->epoll, events, max, timeout_ms);
	if (n < 0 && errno != EINTR)
		log_panic("waiter: epoll_wait: %s", strerror(errno));
	pthread_mutex_lock(&w->lock);
	w->looking--;
	enum wait_why why = WAITED_STOP;
	if (note_events(w, events, n))
		why = pop_ready(w, owner);
	if (w->ready)
		kick(w);
	pthread_mutex_unlock(&w->lock);
	return why;
}

enum wait_why waiter_take(struct waiter *w, int64_t timeout, void **owner)
{
	CHECK_MAGIC(w, WAITER_MAGIC);
	int64_t until = timeout == CLOCK_NEVER ? CLOCK_NEVER : clock_mono() + timeout;
	*owner = NULL;
	for (;;) {
		if (atomic_load_explicit(&w->stopping, memory_order_relaxed))
			return WAITED_STOP;
		pthread_mutex_lock(&w->lock);
		enum wait_why why = pop_ready(w, owner);
		int max = w->looking ? 1 : BATCH;
		w->looking += why == WAITED_NOTHING;
		pthread_mutex_unlock(&w->lock);
		if (why != WAITED_NOTHING)
			return why;
		int ms = clock_poll_ms(until);
		why = look(w, ms, max, owner);
		if (why != WAITED_NOTHING || (until != CLOCK_NEVER && clock_mono() >= until))
			return why;
	}
}

void waiter_stop(struct waiter *w)
{
	uint64_t one = 1;
	atomic_store(&w->stopping, true);
	(void)!write(w->stop, &one, sizeof one);
}

void waiter_each_parked(struct waiter *w, void (*each)(void *ctx, void *owner, struct wait_entry *), void *ctx)
{
	pthread_mutex_lock(&w->lock);
	for (size_t i = FIRST_SLOT; i < w->nslots; i++)
		if (w->slots[i].entry && w->slots[i].entry->state == ENTRY_PARKED)
			each(ctx, w->slots[i].entry->owner, w->slots[i].entry);
	pthread_mutex_unlock(&w->lock);
}

size_t waiter_parked(const struct waiter *w)
{
	return atomic_load_explicit(&w->parked, memory_order_relaxed);
}
