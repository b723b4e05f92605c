/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/pace.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

enum {
	LONG_WAIT_NS = 150 * 1000, /* of a wait for a processor, on average */
	SHORT_WAIT_NS = 50 * 1000,
	TURNS_LEAST = 10, /* so many make an average */
};
#define LOOK_EVERY (CLOCK_SECOND / 50)
#define FRESH_FOR  (1 * CLOCK_SECOND) /* so long after a message another one is expected */

void pace_init(struct pace *p)
{
	*p = (struct pace){ .window = PACE_LEAST, .fresh = -FRESH_FOR };
	p->fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
}

void pace_close(struct pace *p)
{
	io_close(&p->fd);
}

void pace_fresh(struct pace *p, int64_t now)
{
	p->fresh = now;
}

bool pace_is_fresh(const struct pace *p, int64_t now)
{
	return now - p->fresh <= FRESH_FOR;
}

void pace_adapt(struct pace *p, uint64_t wait_ns, uint64_t turns)
{
	uint32_t window = p->window;
	if (wait_ns > turns * LONG_WAIT_NS)
		window -= window / 4;
	else if (wait_ns < turns * SHORT_WAIT_NS)
		window += window / 8 + 1;
	p->window = window < PACE_LEAST ? PACE_LEAST : window > PACE_MOST ? PACE_MOST : window;
}

void pace_turn(struct pace *p, int64_t now)
{
	char text[128];
	unsigned long long ran, waited, turns;
	if (p->fd < 0 || now - p->looked < LOOK_EVERY)
		return;
	p->looked = now;
	ssize_t n = pread(p->fd, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%llu %llu %llu", &ran, &waited, &turns) != 3) {
		io_close(&p->fd);
		return;
	}
	if (turns - p->turns < TURNS_LEAST)
		return;
	pace_adapt(p, waited - p->wait_ns, turns - p->turns);
	p->wait_ns = waited;
	p->turns = turns;
}

uint32_t pace_limit(const struct pace *p, int64_t now)
{
	return p->fd < 0 || !pace_is_fresh(p, now) ? PACE_MOST : p->window;
}
