# usage: check [--carry ITEM]... [--hook ITEM]... [--config FILE] ['ITEM;ITEM...'] PROGRAM
# say, without running PROGRAM, what each item matches and how it will be hooked, or why not
# shellcheck shell=sh
# shellcheck disable=SC2154  # library comes from the launcher

# A list without an option: what has (kind=...) or is a preset is a hook, the rest is to be carried.
check_spec() {
    rest=$1
    while [ -n "$rest" ]; do
        item=${rest%%;*}
        case $rest in *';'*) rest=${rest#*;} ;; *) rest= ;; esac
        case $item in
        '') ;;
        *'('* | preset:*) export BATON_HOOKS="${BATON_HOOKS:+$BATON_HOOKS;}$item" ;;
        *) export BATON_CARRY="${BATON_CARRY:+$BATON_CARRY;}$item" ;;
        esac
    done
}

command_check() {
    while [ $# -gt 0 ]; do
        case $1 in
        --carry | --hook | --config) [ $# -ge 2 ] || usage_error "$1 needs a value" ;;
        esac
        case $1 in
        --) shift; break ;;
        --carry) export BATON_CARRY="${BATON_CARRY:+$BATON_CARRY;}$2"; shift 2 ;;
        --hook) export BATON_HOOKS="${BATON_HOOKS:+$BATON_HOOKS;}$2"; shift 2 ;;
        --carry=*) export BATON_CARRY="${BATON_CARRY:+$BATON_CARRY;}${1#*=}"; shift ;;
        --hook=*) export BATON_HOOKS="${BATON_HOOKS:+$BATON_HOOKS;}${1#*=}"; shift ;;
        --config) export BATON_CONFIG="$2"; shift 2 ;;
        --config=*) export BATON_CONFIG="${1#*=}"; shift ;;
        -h | --help) print_help; exit 0 ;;
        -*) usage_error "check: unknown option $1" ;;
        *) [ $# -gt 1 ] || break
            check_spec "$1"; shift ;;
        esac
    done
    [ $# -eq 1 ] || usage_error "check: which program?"
    planner=${library%/*}/baton-plan
    [ -x "$planner" ] || fail "cannot find $planner (in the source tree, run make first)"
    # shellcheck source=scripts/baton.d/run.sh
    . "$parts/run.sh"
    run_find "$1"
    LD_PRELOAD="" exec "$planner" check "$program"
}
