# usage: report FILE
# print what a run with BATON_REPORT=FILE counted, as a table
# shellcheck shell=sh
# shellcheck disable=SC2154  # parts comes from the launcher

command_report() {
    [ $# -eq 1 ] || usage_error "report: exactly one FILE is needed"
    case $1 in -h | --help) print_help; exit 0 ;; -*) usage_error "report: unknown option $1" ;; esac
    if ! [ -f "$1" ] || ! [ -r "$1" ]; then fail "$1: cannot read this file"; fi
    awk -f "$parts/report.awk" -- "$1" || fail "$1: not a report of baton"
}
