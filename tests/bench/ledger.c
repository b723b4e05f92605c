/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

void ledger_open(struct ledger *l, const char *path)
{
	l->len = 0;
	l->fd = -1;
	if (!path)
		return;
	l->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (l->fd < 0)
		bench_die("%s: %m", path);
}

void ledger_add(struct ledger *l, const char *verdict, const char *id, uint64_t ns, const char *recipient)
{
	int n;

	if (l->fd < 0)
		return;
	if (sizeof l->buf - l->len < LINE_MAX_BYTES)
		ledger_flush(l);
	n = snprintf(l->buf + l->len, LINE_MAX_BYTES, "%s\t%s\t%llu\t%s\n", verdict, id,
		     (unsigned long long)ns, recipient);
	if (n <= 0 || n >= LINE_MAX_BYTES)
		bench_die("ledger: a line is too long");
	l->len += (size_t)n;
}

void ledger_flush(struct ledger *l)
{
	size_t done = 0;

	while (done < l->len) {
		ssize_t n = write(l->fd, l->buf + done, l->len - done);

		if (n <= 0)
			bench_die("ledger: %m");
		done += (size_t)n;
	}
	l->len = 0;
}
