/* SPDX-License-Identifier: Apache-2.0
 * The page that a process shares with the master: per thread, the modules and entry points it is in, the innermost last.
 *
 * A slot is written by its thread alone, with plain atomic stores, and read by the master (after the process has died)
 * and by the process's watchdog. Names of modules are kept once; entry points are short texts in the frame. */
#ifndef MODULE_PAGE_H
#define MODULE_PAGE_H

#include <stdatomic.h>
#include <stdint.h>

#include "module/module.h"

enum {
	PAGE_FRAMES = 3,  /* deeper nesting is counted, not described */
	PAGE_ENTRY = 16,  /* bytes of an entry point's name */
	PAGE_NAME = 32,   /* bytes of a module's name */
	PAGE_NAMES = 126, /* modules in one process */
	PAGE_MAGIC = 0x6d6f6450,
};

struct page_frame {
	_Atomic int64_t limit;                  /* clock_mono(): when it is overdue; CLOCK_NEVER: has no deadline */
	_Atomic uint32_t module;                /* index of its name */
	_Atomic uint32_t spare;
	_Atomic uint64_t entry[PAGE_ENTRY / 8]; /* text, padded with NUL */
};

struct page_slot {
	_Atomic uint32_t thread; /* gettid(); 0: free */
	_Atomic uint32_t depth;
	struct page_frame frames[PAGE_FRAMES];
	_Atomic uint64_t calls; /* how often the thread went in from outside: names the present call */
	uint64_t pad[2]; /* slots of two cache lines: no false sharing */
};

struct page {
	_Atomic uint32_t magic;
	_Atomic uint32_t crashed; /* slot of the thread that crashed, from 1 */
	_Atomic uint32_t names;   /* how many are used */
	uint32_t spare[13];
	char name[PAGE_NAMES][PAGE_NAME];
	struct page_slot slots[];
};
enum { PAGE_SLOTS = (MOD_PAGE_SIZE - sizeof(struct page)) / sizeof(struct page_slot) };

struct page *page_current(void); /* NULL: none attached */
/* The slot for a new thread; NULL when there is no page or it is full. */
struct page_slot *page_slot_take(void);
void page_slot_give(struct page_slot *);
/* The index of a module's name in the page, entered when it is new. */
uint32_t page_module(const char *name);
void page_push(struct page_slot *, uint32_t module, const char *entry, int64_t limit);
void page_pop(struct page_slot *);
/* Another limit for the innermost frame. */
void page_prolong(struct page_slot *, int64_t limit);

#endif
