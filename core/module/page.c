/* SPDX-License-Identifier: Apache-2.0 */
#include "module/page.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

_Static_assert(sizeof(struct page_slot) == 128, "a slot is two cache lines");
_Static_assert(sizeof(struct page) % 64 == 0, "slots start at a cache line");

static struct page *the_page; /* set before the first thread */
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER; /* guards additions to the names */

void mod_page_attach(void *page)
{
	the_page = page;
	if (the_page)
		atomic_store(&the_page->magic, PAGE_MAGIC);
}

struct page *page_current(void)
{
	return the_page;
}

struct page_slot *page_slot_take(void)
{
	if (!the_page)
		return NULL;
	uint32_t self = (uint32_t)gettid();
	for (size_t i = 0; i < PAGE_SLOTS; i++) {
		uint32_t nobody = 0;
		if (atomic_compare_exchange_strong(&the_page->slots[i].thread, &nobody, self))
			return &the_page->slots[i];
	}
	return NULL;
}

void page_slot_give(struct page_slot *slot)
{
	if (!slot)
		return;
	atomic_store(&slot->depth, 0);
	atomic_store(&slot->thread, 0);
}

uint32_t page_module(const char *name)
{
	struct page *page = the_page;
	if (!page)
		return 0;
	pthread_mutex_lock(&names_lock);
	uint32_t n = atomic_load(&page->names), i = 0;
	while (i < n && strncmp(page->name[i], name, PAGE_NAME - 1) != 0)
		i++;
	if (i == n && n < PAGE_NAMES) {
		snprintf(page->name[n], PAGE_NAME, "%s", name);
		atomic_store(&page->names, n + 1);
	}
	pthread_mutex_unlock(&names_lock);
	return i;
}

void page_push(struct page_slot *slot, uint32_t module, const char *entry, int64_t limit)
{
	if (!slot)
		return;
	uint32_t depth = atomic_load_explicit(&slot->depth, memory_order_relaxed);
	if (depth == 0) {
		uint64_t calls = atomic_load_explicit(&slot->calls, memory_order_relaxed);
		atomic_store_explicit(&slot->calls, calls + 1, memory_order_relaxed);
	}
	if (depth < PAGE_FRAMES) {
		struct page_frame *f = &slot->frames[depth];
		uint64_t text[PAGE_ENTRY / 8] = { 0 };
		memcpy(text, entry, strnlen(entry, PAGE_ENTRY - 1));
		for (int i = 0; i < PAGE_ENTRY / 8; i++)
			atomic_store_explicit(&f->entry[i], text[i], memory_order_relaxed);
		atomic_store_explicit(&f->module, module, memory_order_relaxed);
		atomic_store_explicit(&f->limit, limit, memory_order_relaxed);
	}
	atomic_store_explicit(&slot->depth, depth + 1, memory_order_release);
}

void page_pop(struct page_slot *slot)
{
	if (!slot)
		return;
	uint32_t depth = atomic_load_explicit(&slot->depth, memory_order_relaxed);
	if (depth > 0)
		atomic_store_explicit(&slot->depth, depth - 1, memory_order_release);
}

void page_prolong(struct page_slot *slot, int64_t limit)
{
	uint32_t depth = atomic_load_explicit(&slot->depth, memory_order_relaxed);
	if (depth > 0 && depth <= PAGE_FRAMES)
		atomic_store_explicit(&slot->frames[depth - 1].limit, limit, memory_order_relaxed);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* Copies what a frame says. The page comes from a process that may have crashed: nothing in it is trusted. */
static void read_frame(const struct page *page, const struct page_frame *f, char *module, char *entry)
{
	uint32_t m = atomic_load(&f->module);
	uint64_t text[PAGE_ENTRY / 8];
	for (int i = 0; i < PAGE_ENTRY / 8; i++)
		text[i] = atomic_load(&f->entry[i]);
	memcpy(entry, text, PAGE_ENTRY);
	entry[PAGE_ENTRY - 1] = '\0';
	if (m < PAGE_NAMES)
		memcpy(module, page->name[m], PAGE_NAME);
	else
		snprintf(module, PAGE_NAME, "?");
	module[PAGE_NAME - 1] = '\0';
}

/* The innermost frame of a slot; NULL: its thread is in no module. */
static const struct page_frame *innermost(const struct page_slot *slot)
{
	uint32_t depth = atomic_load(&slot->depth);
	if (depth == 0 || atomic_load(&slot->thread) == 0)
		return NULL;
	return &slot->frames[(depth < PAGE_FRAMES ? depth : PAGE_FRAMES) - 1];
}

/* Adds "module hash, lookup" behind what is in text, when there is room. */
static void describe_frame(const struct page *page, const struct page_frame *f, char *text, size_t size)
{
	char module[PAGE_NAME], entry[PAGE_ENTRY];
	size_t used = strlen(text);
	read_frame(page, f, module, entry);
	snprintf(text + used, size - used, "%smodule %s, %s", used ? "; " : "", module, entry);
}

bool mod_page_describe(const void *shared, char *text, size_t size)
{
	const struct page *page = shared;
	text[0] = '\0';
	if (atomic_load(&page->magic) != PAGE_MAGIC)
		return false;
	uint32_t crashed = atomic_load(&page->crashed);
	if (crashed > 0) {
		const struct page_frame *f = crashed <= PAGE_SLOTS ? innermost(&page->slots[crashed - 1]) : NULL;
		if (f)
			describe_frame(page, f, text, size);
		return f != NULL;
	}
	unsigned shown = 0;
	for (size_t i = 0; i < PAGE_SLOTS && shown < 4; i++) {
		const struct page_frame *f = innermost(&page->slots[i]);
		if (f) {
			describe_frame(page, f, text, size);
			shown++;
		}
	}
	return shown > 0;
}

bool mod_page_last(const void *shared, char *text, size_t size)
{
	const struct page *page = shared;
	const struct page_frame *last = NULL;
	int64_t latest = 0;
	text[0] = '\0';
	for (size_t i = 0; i < PAGE_SLOTS * PAGE_FRAMES && atomic_load(&page->magic) == PAGE_MAGIC; i++) {
		const struct page_frame *f = &page->slots[i / PAGE_FRAMES].frames[i % PAGE_FRAMES];
		int64_t limit = atomic_load(&f->limit);
		if (limit == CLOCK_NEVER || limit <= latest)
			continue;
		last = f;
		latest = limit;
	}
	if (last)
		describe_frame(page, last, text, size);
	return last != NULL;
}

void mod_page_calls(const void *shared, void (*each)(void *ctx, const struct mod_call *), void *ctx)
{
	const struct page *page = shared;
	if (atomic_load(&page->magic) != PAGE_MAGIC)
		return;
	for (size_t i = 0; i < PAGE_SLOTS; i++) {
		const struct page_slot *slot = &page->slots[i];
		const struct page_frame *f = innermost(slot);
		if (!f)
			continue;
		char module[PAGE_NAME], entry[PAGE_ENTRY];
		read_frame(page, f, module, entry);
		each(ctx, &(struct mod_call){ .slot = i,
					      .number = atomic_load(&slot->calls),
					      .thread = (int)atomic_load(&slot->thread),
					      .limit = atomic_load(&f->limit),
					      .module = module,
					      .entry = entry });
	}
}
