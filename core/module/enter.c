/* SPDX-License-Identifier: Apache-2.0
 * The way into a module and out of it: who is inside is known to the master (by the shared page) and to whoever wants to
 * close an instance (by the marks, one per nesting level and thread). No locks, but for modules that ask for one. */
#include "module/enter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/magic.h"
#include "base/mem.h"
#include "module/instance.h"
#include "module/page.h"

#define THREAD_MAGIC 0x6d6f6454u

/* A thread that has been in a module. Never freed before the process ends; a new thread takes the record of an ended one. */
struct mod_thread {
	unsigned magic;
	struct mod_thread *next;
	atomic_bool used;
	unsigned depth; /* the thread's own */
	_Atomic(struct mod_instance *) inside[MOD_DEPTH]; /* marks: read by mod_inside() */
	struct arena *arenas[MOD_DEPTH];                  /* the thread's own */
	struct page_slot *slot;
};

static _Atomic(struct mod_thread *) threads; /* only grows, at its head */
static _Thread_local struct mod_thread *self;
static pthread_key_t end_key;
static pthread_once_t end_once = PTHREAD_ONCE_INIT;

/* At the end of a thread. */
static void give_back(void *p)
{
	struct mod_thread *t = p;
	page_slot_give(t->slot);
	t->slot = NULL;
	for (int i = 0; i < MOD_DEPTH; i++)
		arena_destroy(&t->arenas[i]);
	atomic_store(&t->used, false);
}

static void make_key(void)
{
	if (pthread_key_create(&end_key, give_back) != 0)
		abort();
}

/* A record that an ended thread has left, or a new one. */
static struct mod_thread *take_record(void)
{
	for (struct mod_thread *t = atomic_load(&threads); t; t = t->next) {
		bool free_one = false;
		if (atomic_compare_exchange_strong(&t->used, &free_one, true))
			return t;
	}
	struct mod_thread *t = MEM_NEW(struct mod_thread);
	t->magic = THREAD_MAGIC;
	atomic_store(&t->used, true);
	t->next = atomic_load(&threads);
	while (!atomic_compare_exchange_weak(&threads, &t->next, t))
		;
	return t;
}

static struct mod_thread *this_thread(void)
{
	if (!self) {
		pthread_once(&end_once, make_key);
		self = take_record();
		self->depth = 0;
		self->slot = page_slot_take();
		pthread_setspecific(end_key, self);
	}
	return self;
}

unsigned mod_depth(void)
{
	return self ? self->depth : 0;
}

struct arena *mod_thread_arena(void)
{
	struct mod_thread *t = this_thread();
	struct arena **a = &t->arenas[t->depth < MOD_DEPTH ? t->depth : MOD_DEPTH - 1];
	if (!*a)
		*a = arena_new();
	else
		arena_reset(*a);
	return *a;
}

/* Twice the time that a call was given. */
static int64_t overdue(int64_t deadline)
{
	return deadline == CLOCK_NEVER ? CLOCK_NEVER : deadline + (deadline - clock_mono());
}

/* Notes that the thread goes into the instance that it has marked. */
static void go_in(struct mod_thread *t, struct mod_instance *in, const char *entry, int64_t deadline)
{
	if (in->serial)
		pthread_mutex_lock(&in->serial_lock);
	page_push(t->slot, in->page_module, entry, t->slot ? overdue(deadline) : CLOCK_NEVER);
	t->depth++;
}

void mod_enter(struct mod_instance *in, const char *entry, int64_t deadline)
{
	CHECK_MAGIC(in, MOD_INSTANCE_MAGIC);
	struct mod_thread *t = this_thread();
	assert(t->depth < MOD_DEPTH);
	atomic_store(&t->inside[t->depth], in);
	go_in(t, in, entry, deadline);
}

struct mod_instance *mod_enter_shared(struct mod_instance *_Atomic *where, const char *entry, int64_t deadline)
{
	struct mod_thread *t = this_thread();
	assert(t->depth < MOD_DEPTH);
	struct mod_instance *in, *seen = atomic_load(where);
	do { /* mark it, then look whether it was still the one: from then on mod_inside() sees the mark */
		in = seen;
		atomic_store(&t->inside[t->depth], in);
		seen = atomic_load(where);
	} while (in != seen);
	if (in)
		go_in(t, in, entry, deadline);
	return in;
}

void mod_leave(struct mod_instance *in)
{
	struct mod_thread *t = self;
	assert(t && t->depth > 0);
	t->depth--;
	assert(atomic_load_explicit(&t->inside[t->depth], memory_order_relaxed) == in);
	page_pop(t->slot);
	if (in->serial)
		pthread_mutex_unlock(&in->serial_lock);
	atomic_store_explicit(&t->inside[t->depth], NULL, memory_order_release);
}

void mod_note(const char *module, const char *entry, int64_t deadline)
{
	struct mod_thread *t = this_thread();
	if (t->slot)
		page_push(t->slot, page_module(module), entry, overdue(deadline));
}

void mod_note_end(void)
{
	page_pop(this_thread()->slot);
}

void mod_prolong(struct mod_instance *in, int64_t deadline)
{
	struct mod_thread *t = self;
	assert(t && t->depth > 0);
	assert(atomic_load_explicit(&t->inside[t->depth - 1], memory_order_relaxed) == in);
	if (t->slot)
		page_prolong(t->slot, overdue(deadline));
}

bool mod_inside(const struct mod_instance *in)
{
	for (struct mod_thread *t = atomic_load(&threads); t; t = t->next)
		for (int i = 0; i < MOD_DEPTH; i++)
			if (atomic_load(&t->inside[i]) == in)
				return true;
	return false;
}

void mod_page_mark_crash(void)
{
	struct page *page = page_current();
	if (page && self && self->slot)
		atomic_store(&page->crashed, (uint32_t)(self->slot - page->slots) + 1);
}

void mod_threads_shutdown(void)
{
	if (self) { /* the calling thread may go on to end without its key's destructor (main) */
		pthread_setspecific(end_key, NULL);
		give_back(self);
		self = NULL;
	}
}
