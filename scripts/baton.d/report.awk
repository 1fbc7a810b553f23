# Prints a BATON_REPORT file as tables, for each process that has written to it. Reads any JSON, whatever
# its line breaks: every value is kept under its path ("families/glib.pool/carried"), then the tables
# pick what they know by name.
# Runs in mawk, gawk and busybox awk.

{ text = text $0 "\n" }

END {
    at = 1
    do {
        split("", value)
        split("", count)
        split("", child)
        if (!parse_value("") || !("schema" in value)) exit 1
        if (reports++) print ""
        print_all()
        skip_space()
    } while (at <= length(text))
}

function skip_space(    c) {
    while ((c = substr(text, at, 1)) != "" && index(" \t\r\n", c)) at++
}

function take(c) {
    skip_space()
    if (substr(text, at, 1) != c) return 0
    at++
    return 1
}

# A string with its escapes undone; \u stays as it is, names are ASCII.
function parse_string(    out, c) {
    if (!take("\"")) return 0
    out = ""
    while ((c = substr(text, at, 1)) != "\"") {
        if (c == "") return 0
        if (c == "\\") {
            c = substr(text, ++at, 1)
            if (c == "n") c = "\n"; else if (c == "t") c = "\t"; else if (c == "u") c = "\\u"
        }
        out = out c
        at++
    }
    at++
    string = out
    return 1
}

function join_path(path, name) { return path == "" ? name : path "/" name }

function parse_value(path,    c, n, name, start) {
    skip_space()
    c = substr(text, at, 1)
    if (c == "{" || c == "[") {
        at++
        n = 0
        if (take(c == "{" ? "}" : "]")) { count[path] = 0; return 1 }
        do {
            name = n
            if (c == "{") {
                if (!parse_string()) return 0
                name = string
                if (!take(":")) return 0
            }
            child[path, n++] = name
            if (!parse_value(join_path(path, name))) return 0
        } while (take(","))
        count[path] = n
        return take(c == "{" ? "}" : "]")
    }
    if (c == "\"") {
        if (!parse_string()) return 0
        value[path] = string
        return 1
    }
    start = at
    while (index("+-.0123456789eEtrufalsn", c = substr(text, at, 1)) && c != "") at++
    value[path] = substr(text, start, at - start)
    return at > start
}

function print_row(row) {
    sub(/ +$/, "", row)
    print row
}

function print_all(    i, n, j, f, path, bare, total, line) {
    printf "program  %s (pid %s, baton %s)\n", value["program"], value["pid"], value["baton"]
    printf "alive    %d contexts, %d records, %d values\n", value["contexts_alive"], \
        value["records_alive"], value["values_alive"]

    n = count["families"]
    if (n) printf "\n%-16s %10s %10s %10s  %s\n", "handoffs", "carried", "empty", "bare", "why bare"
    for (i = 0; i < n; i++) {
        f = child["families", i]
        path = "families/" f
        total = 0
        bare = ""
        for (j = 0; j < count[path "/bare"]; j++) {
            line = child[path "/bare", j]
            if (value[path "/bare/" line] + 0 == 0) continue
            total += value[path "/bare/" line]
            bare = bare (bare == "" ? "" : ", ") line " " value[path "/bare/" line]
        }
        print_row(sprintf("%-16s %10d %10d %10d  %s", f, value[path "/carried"], value[path "/empty"], total, bare))
    }
    print_list("slots", "item", "state")
    print_list("hooks", "item", "state")
}

# One line an element: its name, its state, then whatever else it says that its name does not,
# without the empty fields.
function print_list(list, name, state,    i, j, path, field, rest) {
    for (i = 0; i < count[list]; i++) {
        if (i == 0) printf "\n%-32s state\n", list
        path = list "/" i
        rest = ""
        for (j = 0; j < count[path]; j++) {
            field = child[path, j]
            if (field == name || field == state || field == "kind" || value[path "/" field] == "") continue
            rest = rest "  " field ": " value[path "/" field]
        }
        print_row(sprintf("%-32s %-10s%s", value[path "/" name], value[path "/" state], rest))
    }
}
