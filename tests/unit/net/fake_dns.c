/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_PTR = 12, TYPE_MX = 15, TYPE_AAAA = 28, HEAD = 12, PACKET = 65535, UDP_MAX = 1200 };

struct fake_dns {
	const struct fake_record *zone;
	size_t n;
	int udp, tcp, stop;
	uint16_t port;
	pthread_t thread;
	atomic_uint questions;
};

struct packet {
	uint8_t data[PACKET];
	size_t len;
};

static void put16(struct packet *p, unsigned v)
{
	p->data[p->len++] = (uint8_t)(v >> 8);
	p->data[p->len++] = (uint8_t)v;
}

static void put_name(struct packet *p, const char *name)
{
	while (*name && strcmp(name, ".") != 0) {
		size_t n = strcspn(name, ".");
		p->data[p->len++] = (uint8_t)n;
		memcpy(p->data + p->len, name, n);
		p->len += n;
		name += n + (name[n] == '.');
	}
	p->data[p->len++] = 0;
}

static void put_hex(struct packet *p, const char *hex)
{
	for (; hex[0] && hex[1]; hex += 2) {
		char byte[3] = { hex[0], hex[1], 0 };
		p->data[p->len++] = (uint8_t)strtoul(byte, NULL, 16);
	}
}

static void put_rdata(struct packet *p, uint16_t type, const char *data)
{
	size_t at = p->len;
	put16(p, 0);
	if (*data == 'x') {
		put_hex(p, data + 1);
	} else if (type == TYPE_A || type == TYPE_AAAA) {
		inet_pton(type == TYPE_A ? AF_INET : AF_INET6, data, p->data + p->len);
		p->len += type == TYPE_A ? 4 : 16;
	} else if (type == TYPE_MX) {
		char *name;
		put16(p, (unsigned)strtoul(data, &name, 10));
		put_name(p, name + 1);
	} else {
		put_name(p, data);
	}
	p->data[at] = (uint8_t)((p->len - at - 2) >> 8);
	p->data[at + 1] = (uint8_t)(p->len - at - 2);
}

static void put_record(struct packet *p, const struct fake_record *r, unsigned number)
{
	char data[300], digits[12];
	const char *hash = strchr(r->data, '#');
	snprintf(digits, sizeof digits, "%u", number);
	if (hash)
		snprintf(data, sizeof data, "%.*s%s%s", (int)(hash - r->data), r->data, digits, hash + 1);
	else
		snprintf(data, sizeof data, "%s", r->data);
	put_name(p, r->name);
	put16(p, r->type);
	put16(p, 1);
	put16(p, 0);
	put16(p, 60); /* TTL */
	put_rdata(p, r->type, data);
	p->data[7] = (uint8_t)(p->data[7] + 1);
	if (p->data[7] == 0)
		p->data[6]++;
}

/* The records of a name, along CNAMEs. False: no answer is to be sent. */
static bool put_answer(struct fake_dns *f, struct packet *p, const char *name, unsigned type)
{
	bool known = false;
	for (int hops = 0; hops < 40; hops++) {
		const char *next = NULL;
		for (size_t i = 0; i < f->n; i++) {
			const struct fake_record *r = &f->zone[i];
			if (strcasecmp(r->name, name) != 0)
				continue;
			known = true;
			if (r->type == 0) {
				int code = (int)strtol(r->data, NULL, 10);
				if (code == -2)
					p->data[HEAD + 1] ^= 1; /* another question than was asked */
				p->data[3] = (uint8_t)((p->data[3] & 0xf0) | (code < 0 ? 0 : code));
				return code != -1;
			}
			for (unsigned k = 0; r->type == type && k < (r->count ? r->count : 1); k++)
				put_record(p, r, k);
			if (r->type == TYPE_CNAME && type != TYPE_CNAME) {
				put_record(p, r, 0);
				next = r->data;
			}
		}
		if (!next)
			break;
		name = next;
	}
	if (!known)
		p->data[3] |= 3;
	return true;
}

/* Turns a question into its answer. */
static bool answer(struct fake_dns *f, const uint8_t *in, size_t len, struct packet *out, bool tcp)
{
	char name[300];
	size_t at = HEAD, used = 0;
	if (len < HEAD + 5)
		return false;
	while (at < len && in[at] && used + in[at] + 2 < sizeof name) {
		memcpy(name + used, in + at + 1, in[at]);
		used += in[at];
		name[used++] = '.';
		at += 1u + in[at];
	}
	name[used ? used - 1 : 0] = '\0';
	if (at + 5 > len)
		return false;
	atomic_fetch_add(&f->questions, 1);
	out->len = at + 5;
	memcpy(out->data, in, out->len);
	out->data[2] = 0x84; /* an answer, authoritative */
	out->data[3] = 0x80;
	memset(out->data + 4, 0, 8);
	out->data[5] = 1;
	if (!put_answer(f, out, name, (unsigned)in[at + 1] << 8 | in[at + 2]))
		return false;
	if (!tcp && out->len > UDP_MAX) {
		out->len = at + 5;
		out->data[2] |= 2;
		out->data[6] = out->data[7] = 0;
	}
	return true;
}

static void serve_udp(struct fake_dns *f, struct packet *out)
{
	uint8_t in[1500];
	struct sockaddr_in from;
	socklen_t size = sizeof from;
	ssize_t n = recvfrom(f->udp, in, sizeof in, 0, (struct sockaddr *)&from, &size);
	if (n > 0 && answer(f, in, (size_t)n, out, false))
		sendto(f->udp, out->data, out->len, 0, (struct sockaddr *)&from, size);
}

static void serve_tcp(struct fake_dns *f, struct packet *out)
{
	uint8_t in[1500], head[2];
	int fd = accept(f->tcp, NULL, NULL);
	if (fd < 0)
		return;
	if (recv(fd, head, 2, MSG_WAITALL) == 2) {
		size_t want = (size_t)head[0] << 8 | head[1];
		if (want <= sizeof in && recv(fd, in, want, MSG_WAITALL) == (ssize_t)want && answer(f, in, want, out, true)) {
			head[0] = (uint8_t)(out->len >> 8);
			head[1] = (uint8_t)out->len;
			send(fd, head, 2, MSG_NOSIGNAL | MSG_MORE);
			send(fd, out->data, out->len, MSG_NOSIGNAL);
		}
	}
	close(fd);
}

static void *run(void *arg)
{
	struct fake_dns *f = arg;
	struct packet *out = malloc(sizeof *out);
	struct pollfd p[] = { { .fd = f->udp, .events = POLLIN },
			      { .fd = f->tcp, .events = POLLIN },
			      { .fd = f->stop, .events = POLLIN } };
	while (out && poll(p, 3, -1) > 0 && !p[2].revents) {
		if (p[0].revents)
			serve_udp(f, out);
		if (p[1].revents)
			serve_tcp(f, out);
	}
	free(out);
	return NULL;
}

/* A UDP and a TCP socket on one free port. */
static bool open_port(struct fake_dns *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	f->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	f->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(f->tcp, (struct sockaddr *)&a, len) == 0 && listen(f->tcp, 8) == 0 &&
	    getsockname(f->tcp, (struct sockaddr *)&a, &len) == 0 && bind(f->udp, (struct sockaddr *)&a, len) == 0) {
		f->port = ntohs(a.sin_port);
		return true;
	}
	close(f->tcp);
	close(f->udp);
	return false;
}

struct fake_dns *fake_dns_start(const struct fake_record *zone, size_t n)
{
	struct fake_dns *f = calloc(1, sizeof *f);
	f->zone = zone;
	f->n = n;
	f->stop = eventfd(0, EFD_CLOEXEC);
	for (int attempt = 0; !open_port(f); attempt++)
		if (attempt == 20)
			abort();
	if (pthread_create(&f->thread, NULL, run, f) != 0)
		abort();
	return f;
}

uint16_t fake_dns_port(const struct fake_dns *f)
{
	return f->port;
}

unsigned fake_dns_questions(const struct fake_dns *f)
{
	return atomic_load(&f->questions);
}

void fake_dns_stop(struct fake_dns **fp)
{
	struct fake_dns *f = *fp;
	eventfd_write(f->stop, 1);
	pthread_join(f->thread, NULL);
	close(f->udp);
	close(f->tcp);
	close(f->stop);
	free(f);
	*fp = NULL;
}
