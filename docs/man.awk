# SPDX-License-Identifier: Apache-2.0
# Makes a manual page (man(7), with tbl(1) tables) of one of our pages in Markdown. Which Markdown: docs/README.md.
#   awk -v page=static_table -v section=5 -v title="Table types" -f man.awk static.md

function die(what) {
	printf "%s:%d: %s\n", FILENAME, at, what > "/dev/stderr"
	exit failed = 1
}

# Plain text for roff.
function plain(s) {
	gsub(/\\/, "\\e", s)
	return s
}

# Text that is typed or shown as it is: the quotes, dashes and carets of a keyboard.
function typed(s) {
	s = plain(s)
	gsub(/-/, "\\-", s)
	gsub(/'/, "\\(aq", s)
	gsub(/`/, "\\(ga", s)
	gsub(/\^/, "\\(ha", s)
	gsub(/~/, "\\(ti", s)
	return s
}

# Where a long piece of it may go on in the next line.
function breakable(s) {
	if (length(s) > SHORT)
		gsub(/[\/@?&]+/, "&\\:", s)
	return s
}

# A line that starts with a dot or a quote is no request.
function guarded(s) {
	return s ~ /^[.']/ ? "\\&" s : s
}

# Text without code in it: **strong**, *emphasis*, [text](link), name(5).
function marked(s,    out, inner, target) {
	out = ""
	s = plain(s)
	while (match(s, /\*\*[^*]+\*\*|\*[^* ][^*]*\*|\[[^]]+\]\([^)]+\)|[A-Za-z][-A-Za-z0-9_.]*\([1-8]\)/)) {
		inner = substr(s, RSTART, RLENGTH)
		out = out substr(s, 1, RSTART - 1)
		s = substr(s, RSTART + RLENGTH)
		if (inner ~ /^\*\*/)
			out = out "\\fB" substr(inner, 3, length(inner) - 4) "\\fR"
		else if (inner ~ /^\*/)
			out = out "\\fI" substr(inner, 2, length(inner) - 2) "\\fR"
		else if (inner ~ /^\[/) {
			target = inner
			sub(/^\[[^]]+\]\(/, "", target)
			sub(/\)$/, "", target)
			sub(/^\[/, "", inner)
			sub(/\]\(.*/, "", inner)
			out = out inner (target ~ /^https?:/ ? " <" target ">" : "")
		} else {
			sub(/\(/, "\\fR(", inner)
			gsub(/-/, "\\-", inner)
			out = out "\\fB" inner
		}
	}
	return out s
}

# A line of running text: `code` becomes bold, what is between is marked().
function text(s,    out, n) {
	out = ""
	while ((n = index(s, "`")) > 0) {
		out = out marked(substr(s, 1, n - 1))
		s = substr(s, n + 1)
		n = index(s, "`")
		if (n == 0)
			die("a ` without its end in this line")
		out = out "\\fB" breakable(typed(substr(s, 1, n - 1))) "\\fR"
		s = substr(s, n + 1)
	}
	return out marked(s)
}

# Ends whatever block is open.
function close_block() {
	if (block == "code")
		print ".fi\n.RE"
	if (block == "table")
		write_table()
	block = ""
	blank = 0
}

function close_item() {
	close_block()
	in_item = 0
}

# The first thing below the title is the synopsis if it is code, else it belongs to the description.
function heading_if_needed(is_code) {
	if (section_open == "" && is_code) {
		print ".SH SYNOPSIS"
		section_open = "SYNOPSIS"
	} else if (!is_code && (section_open == "" || section_open == "SYNOPSIS")) {
		print ".SH DESCRIPTION"
		section_open = "DESCRIPTION"
		fresh = 1
	}
}

function start_paragraph() {
	if (!fresh)
		print in_item ? ".IP" : ".PP"
	fresh = 0
}

function code_line(s) {
	if (block != "code") {
		close_block()
		heading_if_needed(1)
		if (section_open != "SYNOPSIS" && !fresh)
			print in_item ? ".IP" : ".PP"
		fresh = 0
		print ".RS 4\n.nf"
		block = "code"
	}
	while (blank-- > 0)
		print ""
	blank = 0
	print guarded(typed(s))
}

# ---- tables: rows are kept until the end, for the widths of the columns ----

function table_row(s,    cells, n, i) {
	if (block != "table") {
		close_item()
		heading_if_needed(0)
		block = "table"
		rows = columns = 0
	}
	gsub(/\\\|/, "\001", s)
	sub(/^\|/, "", s)
	sub(/\|[ \t]*$/, "", s)
	if (s ~ /^[-| :]+$/)
		return
	n = split(s, cells, "|")
	rows++
	if (n > columns)
		columns = n
	for (i = 1; i <= n; i++) {
		gsub(/^[ \t]+|[ \t]+$/, "", cells[i])
		gsub(/\001/, "|", cells[i])
		cell[rows, i] = cells[i]
		if (rows == 1)
			width[i] = 0
		if (length(cells[i]) > width[i])
			width[i] = length(cells[i])
	}
}

# Columns of short cells are as wide as these; the others share what is left of a line.
function set_widths(    i, left, wide) {
	left = LINE - GAP * (columns - 1)
	wide = 0
	for (i = 1; i <= columns; i++) {
		filled[i] = width[i] > SHORT
		wide += filled[i]
		left -= filled[i] ? 0 : width[i]
	}
	for (i = 1; wide && i <= columns; i++)
		if (filled[i])
			width[i] = left > 16 * wide ? int(left / wide) : 16
}

# The format of a row, each column with this letter.
function row_format(letter,    i, line) {
	line = ""
	for (i = 1; i <= columns; i++)
		line = line (i > 1 ? " " : "") letter (filled[i] ? "w(" width[i] "n)" : "")
	return line
}

function write_table(    r, i, line, empty) {
	start_paragraph()
	set_widths()
	empty = 1
	for (i = 1; i <= columns; i++)
		empty = empty && cell[1, i] == ""
	print ".TS\n" (empty ? "" : row_format("lb") "\n") row_format("l") "."
	for (r = empty ? 2 : 1; r <= rows; r++) {
		line = ""
		for (i = 1; i <= columns; i++) {
			line = line (i > 1 ? "\t" : "")
			line = line (filled[i] ? "T{\n.ad l\n" guarded(text(cell[r, i])) "\nT}" : guarded(text(cell[r, i])))
		}
		print line
	}
	print ".TE"
	for (r in cell)
		delete cell[r]
}

# ---- lines ----

# "# static: one value for every key"
function page_title(s) {
	if (titled++)
		die("a second title")
	if (s !~ /^# [^:]+: ./)
		die("the title has to be \"# NAME: purpose\"")
	sub(/^# [^:]+: /, "", s)
	gsub(/`/, "", s)
	# Without a date: the same source makes the same page.
	printf ".TH \"%s\" %s \"\" Ostler \"%s\"\n", toupper(page), section, title
	print ".ad l\n.nh" # ragged, and no word that may be typed is broken
	print ".SH NAME\n" typed(page) " \\- " plain(s)
}

function heading(s,    name) {
	close_item()
	name = s
	gsub(/^#+ |`/, "", name)
	gsub(/"/, "\\(dq", name)
	section_open = name
	fresh = 1
	print s ~ /^## / ? ".SH \"" toupper(plain(name)) "\"" : ".SS \"" plain(name) "\""
}

# An item of a list, or an explanation below its term: what follows, indented, belongs to it.
function item(head, s) {
	close_item()
	heading_if_needed(0)
	print head "\n" guarded(text(s))
	in_item = 1
	fresh = 0
	block = "text"
}

function mark_of(s) {
	return s ~ /^[0-9]/ ? ".IP " substr(s, 1, index(s, " ") - 1) " 4" : ".IP \\(bu 2"
}

function running_text(s) {
	if (blank || block != "text") {
		if (s !~ /^  /)
			close_item()
		close_block()
		heading_if_needed(0)
		start_paragraph()
		block = "text"
	}
	sub(/^ +/, "", s)
	print guarded(text(s))
}

# The line that stands at `at`; the next one tells whether it is a term.
function take(s, following,    code) {
	code = in_item ? 6 : 4
	if (s ~ /^```/) {
		fenced = !fenced
		close_block()
	} else if (fenced)
		code_line(s)
	else if (s ~ /^<!--.*-->$/)
		return
	else if (s ~ /^[ \t]*$/)
		blank++
	else if (s ~ /^# /)
		page_title(s)
	else if (!titled)
		die("text before the title")
	else if (s ~ /^###? /)
		heading(s)
	else if (match(s, /^ */) && RLENGTH >= code && (blank || block == "code"))
		code_line(substr(s, code + 1))
	else if (s ~ /^\|/)
		table_row(s)
	else if (following ~ /^: /)
		term = s
	else if (s ~ /^: /)
		item(".TP\n" guarded(text(term)), substr(s, 3))
	else if (s ~ /^[-*] / || s ~ /^[0-9]+\. /)
		item(mark_of(s), substr(s, index(s, " ") + 1))
	else
		running_text(s)
	if (s !~ /^[ \t]*$/)
		blank = 0
}

BEGIN {
	LINE = 70  # of a page, without its margin
	GAP = 3    # between columns
	SHORT = 24 # a longer cell is filled
}

{ line[NR] = $0 }

END {
	print "'\\\" t\n.\\\" SPDX-License-Identifier: Apache-2.0; made by docs/man.awk from " FILENAME
	for (at = 1; at <= NR && !failed; at++)
		take(line[at], line[at + 1])
	if (!failed && !titled)
		die("no title")
	close_item()
	exit failed
}
