/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/report.h"

#include <string.h>

#include "ipc/protocol.h"

/* The field's bytes, cut to what fits, as a string in slot i. */
static const char *take_text(struct report *r, int i, const struct tlv *f)
{
	size_t n = f->len < REPORT_TEXT_MAX ? f->len : REPORT_TEXT_MAX - 1;
	memcpy(r->text[i], f->data, n);
	r->text[i][n] = '\0';
	return r->text[i];
}

bool report_read(struct report *r, const struct tlv *group)
{
	struct tlv_reader reader = tlv_read(group->data, group->len);
	struct tlv f;
	r->rcpt = r->status = r->flags = 0;
	r->has_rcpt = r->has_status = false;
	r->dsn = r->reason = r->mta = r->diagnostic = NULL;
	while (tlv_next(&reader, &f)) {
		switch (f.type) {
		case F_RCPT:
			r->has_rcpt = tlv_u64(&f, &r->rcpt);
			break;
		case F_STATUS:
			r->has_status = tlv_u64(&f, &r->status);
			break;
		case F_FLAGS:
			tlv_u64(&f, &r->flags);
			break;
		case F_DSN:
			r->dsn = take_text(r, 0, &f);
			break;
		case F_REASON:
			r->reason = take_text(r, 1, &f);
			break;
		case F_MTA:
			r->mta = take_text(r, 2, &f);
			break;
		case F_DIAGNOSTIC:
			r->diagnostic = take_text(r, 3, &f);
			break;
		default:
			break;
		}
	}
	return !reader.bad && r->has_rcpt && r->has_status && r->rcpt <= UINT32_MAX;
}
