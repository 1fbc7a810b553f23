# Turns the Markdown that scripts/man/*.md uses into a man page or into HTML:
#   awk -v to=roff -v version=... -v section=7 -f markdown.awk FILE.7.md      awk -v to=html -v title=... -f ...
#
#   # TITLE           once; the page's name and a line about it       ## SECTION   ### PART
#   paragraphs        - and 1. lists, of lines that go on indented     | tables |  (HTML; in a man page a line a row)
#   ```LANGUAGE ... ```   as it stands        `code`  **strong**  [text](target)      <!-- comment -->, one line
#
# Nothing else of Markdown is known; a test holds the pages against that.

function escape_roff(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/'/, "\\(aq", text)
    return text
}

function escape_html(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    gsub(/>/, "\\&gt;", text)
    return text
}

# What stands outside of code: strong words and links.
function words(text,    out, at, label, target) {
    out = ""
    while (match(text, /\[[^]]*\]\([^)]*\)|\*\*[^*]+\*\*/)) {
        at = substr(text, RSTART, RLENGTH)
        out = out plain(substr(text, 1, RSTART - 1))
        text = substr(text, RSTART + RLENGTH)
        if (substr(at, 1, 2) == "**") {
            label = substr(at, 3, length(at) - 4)
            out = out (to == "roff" ? "\\fB" plain(label) "\\fR" : "<strong>" plain(label) "</strong>")
            continue
        }
        label = substr(at, 2, index(at, "](") - 2)
        target = substr(at, index(at, "](") + 2)
        target = substr(target, 1, length(target) - 1)
        sub(/\.md($|#)/, ".html&", target)
        sub(/\.html\.md/, ".html", target)
        out = out (to == "roff" ? plain(label) : "<a href=\"" escape_html(target) "\">" plain(label) "</a>")
    }
    return out plain(text)
}

function plain(text) { return to == "roff" ? escape_roff(text) : escape_html(text) }

# A line of text: code between backquotes stands as it is.
function inline(text,    parts, n, i, out) {
    while (match(text, /\[`[^`]*`\]\(/)) # a link's label is no code
        text = substr(text, 1, RSTART) substr(text, RSTART + 2, RLENGTH - 5) substr(text, RSTART + RLENGTH - 2)
    n = split(text, parts, "`")
    out = ""
    for (i = 1; i <= n; i++) {
        if (i % 2) out = out words(parts[i])
        else out = out (to == "roff" ? "\\fB" escape_roff(parts[i]) "\\fR" : "<code>" escape_html(parts[i]) "</code>")
    }
    return out
}

function say(text) {
    if (to == "roff") sub(/^[.\047]/, "\\\\\\&&", text)
    print text
}

# What is open is closed before something else begins.
function close_all() {
    if (paragraph != "") {
        if (to == "roff") say(inline(paragraph))
        else print "<" (list == "ol" ? "li value=\"" number "\"" : list != "" ? "li" : "p") ">" inline(paragraph) "</" (list != "" ? "li" : "p") ">"
    }
    paragraph = ""
}

function close_list() {
    close_all()
    if (list != "" && to == "html") print "</" list ">"
    list = ""
}

function close_table() {
    if (table && to == "html") print "</table>"
    table = 0
}

function begin_item(kind, mark, text) {
    close_all()
    if (list != kind) {
        close_list()
        list = kind
        if (to == "html") print "<" kind ">"
    }
    if (to == "roff") print ".IP " mark " 4"
    paragraph = text
}

function heading(level, text,    id) {
    close_list()
    close_table()
    if (to == "roff") {
        if (level == 1) {
            print ".TH " toupper(substr(text, 1, index(text, " ") - 1)) " " section " \"\" \"baton " version "\" \"Miscellaneous Information\""
            print ".SH NAME"
            sub(/ - /, " \001 ", text)
            text = escape_roff(text)
            sub(/\001/, "\\-", text)
            print text
            print ".SH DESCRIPTION"
            return
        }
        print (level == 2 ? ".SH " : ".SS ") "\"" escape_roff(level == 2 ? toupper(text) : text) "\""
        return
    }
    id = tolower(text)
    gsub(/[^a-z0-9_ -]/, "", id)
    gsub(/ /, "-", id)
    print "<h" level " id=\"" id "\">" inline(text) "</h" level ">"
}

function row(line,    cells, n, i, cell) {
    sub(/^\| */, "", line)
    sub(/ *\|$/, "", line)
    gsub(/\\\|/, "\001", line)
    n = split(line, cells, / *\| */)
    if (to == "html") printf "<tr>"
    else print ".TP"
    for (i = 1; i <= n; i++) {
        cell = cells[i]
        gsub(/\001/, "|", cell)
        if (to == "html") printf "<%s>%s</%s>", table == 1 ? "th" : "td", inline(cell), table == 1 ? "th" : "td"
        else if (cell != "") say(inline(cell))
    }
    if (to == "html") print "</tr>"
}

BEGIN {
    if (to != "html") next_is_text = 0
    else
        print "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" \
            "<meta name=\"viewport\" content=\"width=device-width\">\n<title>" escape_html(title) "</title>\n<style>\n" \
            "body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 sans-serif; color: #222; background: #fff }\n" \
            "pre { background: #f4f4f2; padding: .7rem; overflow-x: auto } code, pre { font-family: monospace; font-size: .93rem }\n" \
            "table { border-collapse: collapse } td, th { border: 1px solid #ccc; padding: .25rem .5rem; text-align: left; vertical-align: top }\n" \
            "@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } pre { background: #262626 } a { color: #8bf } }\n" \
            "</style>\n</head>\n<body>"
}

/^```/ {
    if (!code) {
        close_all()
        close_table()
        if (list == "") close_list()
        code = 1
        print to == "roff" ? (list != "" ? ".IP\n" : ".PP\n") ".RS 4\n.EX" : "<pre>"
    } else {
        code = 0
        print to == "roff" ? ".EE\n.RE" : "</pre>"
        after_code = 1
    }
    next
}
code { if (to == "roff") say(escape_roff($0)); else print escape_html($0); next }
/^<!--.*-->$/ { next }
/^# / { heading(1, substr($0, 3)); next }
/^## / { heading(2, substr($0, 4)); next }
/^### / { heading(3, substr($0, 5)); next }
/^\|[-| :]*\|$/ { next }
/^\|/ { close_list(); table++; if (table == 1 && to == "html") print "<table>"; row($0); next }
/^- / { close_table(); begin_item("ul", "\\(bu", substr($0, 3)); next }
/^[0-9]+\. / {
    close_table()
    text = $0
    sub(/^[0-9]+\. /, "", text)
    begin_item("ol", $1, text)
    number = $1 + 0
    next
}
/^$/ { close_all(); close_table(); blank = 1; next }
{
    if (list != "" && !/^ /) close_list()
    if (paragraph == "" && list == "" && to == "roff") print ".PP"
    else if (paragraph == "" && to == "roff") print ".IP"
    sub(/^ +/, "")
    paragraph = paragraph (paragraph == "" ? "" : (to == "roff" ? " " : "\n")) $0
}
END {
    close_list()
    close_table()
    if (to == "html") print "</body>\n</html>"
}
