/* SPDX-License-Identifier: Apache-2.0
 * postconf -t and -b: the templates of notices, as they are and expanded. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "bounce/template.h"
#include "command/postconf.h"

enum { TEMPLATE_BYTES = 1 << 20 };

static void tell(void *ctx, const char *text)
{
	postconf_warn(ctx, "%s", text);
}

static bool read_templates(const struct postconf *p, const char *file,
			   struct bounce_template list[TEMPLATE_COUNT])
{
	size_t len;
	template_defaults(list);
	if (!*file)
		return true;
	char *text = io_read_file(AT_FDCWD, file, TEMPLATE_BYTES, &len);
	if (!text)
		return postconf_fatal(p, "open %s: %s", file, strerror(errno)), false;
	template_read(p->arena, file, text, len, list, tell, (void *)(uintptr_t)p);
	free(text);
	return true;
}

static bool show(const struct postconf *p, const struct cfg_view *view, enum template_kind kind,
		 const struct bounce_template *t, struct buf *out)
{
	struct ost_why why;
	if (p->mode == 't') {
		template_print(out, kind, t);
		return true;
	}
	buf_printf(out, "expanded_%s_text = <<EOF\n", template_name(kind));
	if (!template_expand(out, view, t, &why))
		return postconf_fatal(p, "%s template: %s", template_name(kind), why.text), false;
	buf_puts(out, "EOF\n");
	return true;
}

int postconf_bounce(const struct postconf *p, char **files)
{
	struct bounce_template list[TEMPLATE_COUNT];
	struct buf out = BUF_INIT;
	struct findings *findings = findings_new();
	struct config *c = config_read(p->folder, p->overrides, findings);
	findings_destroy(&findings);
	if (!c)
		return postconf_fatal(p, "open %s/main.cf: no configuration can be read there", p->folder);
	const struct cfg_view *view = config_main_view(c);
	const char *named = cfg_lookup(view, "bounce_template_file");
	bool ok = read_templates(p, *files ? *files : named ? named : "", list);
	for (int kind = 0; ok && kind < TEMPLATE_COUNT; kind++) {
		if (kind)
			buf_putc(&out, '\n');
		ok = show(p, view, (enum template_kind)kind, &list[kind], &out);
	}
	fputs(ok ? buf_str(&out) : "", p->out);
	buf_free(&out);
	config_destroy(&c);
	return ok && fflush(p->out) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
