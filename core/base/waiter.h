/* SPDX-License-Identifier: Apache-2.0
 * Where sessions wait without a thread: one epoll, each entry with a deadline, taken up by whichever thread is free.
 *
 * An entry is one descriptor (or none: a timer) and its owner's pointer. Exactly one party holds an entry at a time: the
 * thread that took it, until it parks it again or removes it, or the waiter. Threads call waiter_take() directly; there is
 * no thread in between. One mutex guards entries, heap and ready list; it is never held across a system call that waits.
 *
 * The costs of a round: a share of an epoll_wait(), which brings many events when nobody else looks for work, and an
 * epoll_ctl() unless WAIT_NEWS says that it can be spared. Deadlines are kept lazily: an entry stays in the heap while it
 * is worked on, and the timer is set again only for an earlier deadline. */
#ifndef BASE_WAITER_H
#define BASE_WAITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct waiter;
struct wait_entry;

enum wait_for {
	WAIT_NOTHING = 0, /* its deadline, or a wake */
	WAIT_READ = 1,
	WAIT_WRITE = 2,
	/* With WAIT_READ, from a holder that has read all there was since it took the entry (a read gave less than it asked
	 * for, or nothing): what came since then counts, and at an entry's first park, what is there. Costs no system call
	 * but that once. */
	WAIT_NEWS = 4,
};
enum wait_why {
	WAITED_IO = 1,     /* readable, writable, or hung up: the next read or write tells */
	WAITED_DEADLINE,
	WAITED_WAKE,       /* waiter_wake() */
	WAITED_LISTENER,   /* a listening socket may have connections; it stays armed */
	WAITED_NOTHING,    /* waiter_take()'s own timeout */
	WAITED_STOP,       /* waiter_stop(): every call answers so from then on */
};

struct waiter *waiter_new(void); /* ends the process when the system gives no epoll */
void waiter_destroy(struct waiter **); /* when no thread is in waiter_take() and no entry is left */

/* A listening socket, in the epoll with EPOLLEXCLUSIVE: each connection wakes few. owner is handed to the takers. */
struct wait_entry *waiter_listen(struct waiter *, int fd, void *owner);
/* No more connections from this entry; it is gone. A taker may still hold its owner for a moment. */
void waiter_unlisten(struct waiter *, struct wait_entry **);

/* A new entry, held by the caller. fd is not owned, -1: none. Nothing is waited for before the first waiter_park(). */
struct wait_entry *waiter_add(struct waiter *, int fd, void *owner);
/* Hands the entry over: a thread takes it up when fd is ready, at the deadline (clock_mono microseconds), or when it is
 * woken. The caller must not touch the owner afterwards. */
void waiter_park(struct waiter *, struct wait_entry *, enum wait_for, int64_t deadline);
/* For an entry that is parked, or about to be parked by the thread that holds it (then the park ends at once). */
void waiter_wake(struct waiter *, struct wait_entry *);
/* Frees an entry that the caller holds; before its descriptor is closed. Accepts NULL, sets NULL. */
void waiter_remove(struct waiter *, struct wait_entry **);
/* The same when the caller closes the descriptor right afterwards, which takes it out of the epoll: one call less. */
void waiter_remove_closing(struct waiter *, struct wait_entry **);

/* The next entry that has something to do; its owner in *owner. timeout in microseconds, CLOCK_NEVER: none. */
enum wait_why waiter_take(struct waiter *, int64_t timeout, void **owner);
void waiter_stop(struct waiter *);
/* Calls each() for the owner of every parked entry, under the lock: for marking, not for working. */
void waiter_each_parked(struct waiter *, void (*each)(void *ctx, void *owner, struct wait_entry *), void *ctx);
/* Like waiter_wake() from within each(). */
void waiter_wake_locked(struct waiter *, struct wait_entry *);
size_t waiter_parked(const struct waiter *); /* how many are parked; a snapshot */

#endif
