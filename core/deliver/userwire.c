/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/userwire.h"

#include <stdio.h>
#include <string.h>

#include "deliver/userrun.h"
#include "ipc/protocol.h"

enum job_field {
	J_QUEUE_ID = 1, J_PATH, J_ARGS, J_SIZE, J_OFFSET, J_CONTENT, J_FDS, J_LAST, J_FORM,
};
enum { FD_MESSAGE = 1, FD_SPOOL = 2 }; /* J_FDS: which descriptors came along, in this order */

bool userwire_send(struct ipc_link *link, const struct ost_user_job *j, bool last)
{
	struct buf b = BUF_INIT;
	int fds[2], n = 0;
	uint64_t which = 0;
	tlv_put_str(&b, J_QUEUE_ID, j->queue_id);
	tlv_put_str(&b, J_PATH, j->path);
	tlv_put(&b, J_ARGS, 0, j->args, j->args_len);
	tlv_put_u64(&b, J_SIZE, j->message_size);
	tlv_put_u64(&b, J_OFFSET, j->message_offset);
	if (j->message_form != OST_FORM_LF)
		tlv_put_u64(&b, J_FORM, j->message_form);
	if (j->message)
		tlv_put(&b, J_CONTENT, 0, j->message, j->message_size);
	if (!j->message && j->message_fd >= 0) {
		which |= FD_MESSAGE;
		fds[n++] = j->message_fd;
	}
	if (j->spool_fd >= 0) {
		which |= FD_SPOOL;
		fds[n++] = j->spool_fd;
	}
	tlv_put_u64(&b, J_FDS, which);
	tlv_put_u64(&b, J_LAST, last);
	bool alive = ipc_send_fds(link, M_JOBS, b.data, b.len, fds, n);
	buf_free(&b);
	return alive;
}

/* Hands the descriptors over to the job. */
static bool take_fds(struct ipc_message *m, struct ost_user_job *j, uint64_t which)
{
	int at = 0;
	if (which & FD_MESSAGE) {
		if (at >= m->nfds)
			return false;
		j->message_fd = m->fds[at];
		m->fds[at++] = -1;
	}
	if (which & FD_SPOOL) {
		if (at >= m->nfds)
			return false;
		j->spool_fd = m->fds[at];
		m->fds[at++] = -1;
	}
	return true;
}

bool userwire_receive(struct arena *a, struct ipc_message *m, struct ost_user_job *j, bool *last)
{
	struct tlv_reader r = tlv_read(m->body, m->len);
	struct tlv f;
	uint64_t which = 0, is_last = 0, form = OST_FORM_LF;
	bool ok = true;
	size_t content = 0;
	user_job_init(j);
	while (ok && tlv_next(&r, &f)) {
		switch (f.type) {
		case J_QUEUE_ID:
			j->queue_id = arena_strndup(a, f.data, f.len);
			break;
		case J_PATH:
			j->path = arena_strndup(a, f.data, f.len);
			break;
		case J_ARGS:
			j->args = arena_dup(a, f.data, f.len);
			j->args_len = f.len;
			break;
		case J_CONTENT:
			j->message = arena_strndup(a, f.data, f.len);
			content = f.len;
			break;
		case J_SIZE:
			ok = tlv_u64(&f, &j->message_size);
			break;
		case J_OFFSET:
			ok = tlv_u64(&f, &j->message_offset);
			break;
		case J_FDS:
			ok = tlv_u64(&f, &which);
			break;
		case J_LAST:
			ok = tlv_u64(&f, &is_last);
			break;
		case J_FORM:
			ok = tlv_u64(&f, &form) && form <= OST_FORM_WIRE;
			break;
		}
	}
	*last = is_last != 0;
	j->message_form = (uint32_t)form;
	ok = ok && !r.bad && j->queue_id && j->path && take_fds(m, j, which);
	return ok && (j->message ? content == j->message_size : j->message_fd >= 0);
}

bool userwire_answer(struct ipc_link *link, const struct ost_user_job *jobs, size_t n)
{
	struct buf b = BUF_INIT;
	for (size_t i = 0; i < n; i++) {
		size_t mark = tlv_open(&b, F_RESULT, 0);
		tlv_put_u64(&b, F_STATUS, jobs[i].done.status);
		tlv_put_str(&b, F_DSN, jobs[i].done.dsn);
		tlv_put_str(&b, F_REASON, jobs[i].done.text);
		tlv_close(&b, mark);
	}
	bool alive = ipc_send(link, M_JOBS_DONE, b.data, b.len);
	buf_free(&b);
	return alive;
}

/* A field's text into a fixed array. */
static void copy_text(char *to, size_t size, const struct tlv *f)
{
	snprintf(to, size, "%.*s", (int)f->len, f->data);
}

static bool one_answer(const struct tlv *group, struct ost_user_done *done)
{
	struct tlv_reader r = tlv_read(group->data, group->len);
	struct tlv f;
	uint64_t status = 0;
	done->dsn[0] = done->text[0] = '\0';
	while (tlv_next(&r, &f)) {
		if (f.type == F_STATUS)
			tlv_u64(&f, &status);
		else if (f.type == F_DSN)
			copy_text(done->dsn, sizeof done->dsn, &f);
		else if (f.type == F_REASON)
			copy_text(done->text, sizeof done->text, &f);
	}
	done->status = (enum ost_delivered)status;
	return !r.bad && status >= OST_SENT && status <= OST_BOUNCED;
}

bool userwire_answered(const struct ipc_message *m, struct ost_user_done *const *done, size_t n)
{
	struct tlv_reader r = tlv_read(m->body, m->len);
	struct tlv f;
	size_t got = 0;
	while (tlv_next(&r, &f)) {
		if (f.type != F_RESULT)
			continue;
		if (got == n || !one_answer(&f, done[got]))
			return false;
		got++;
	}
	return !r.bad && got == n;
}
