# usage: run [--carry ITEM]... [--hook ITEM]... [--config FILE] [--report FILE] [--] PROGRAM [ARGS]...
# run PROGRAM with baton loaded; the exit status is the program's (127: not found, 126: cannot be run)
# shellcheck shell=sh
# shellcheck disable=SC2154  # library comes from the launcher

# Options add to what the environment already says; LD_PRELOAD keeps what the user put there.
command_run() {
    while [ $# -gt 0 ]; do
        option=$1
        case $option in
        --) shift; break ;;
        --carry=* | --hook=* | --config=* | --report=*)
            value=${option#*=}
            option=${option%%=*}
            shift
            ;;
        --carry | --hook | --config | --report)
            [ $# -ge 2 ] || usage_error "$option needs a value"
            value=$2
            shift 2
            ;;
        -h | --help) print_help; exit 0 ;;
        -*) usage_error "run: unknown option $option" ;;
        *) break ;;
        esac
        [ -n "$value" ] || usage_error "$option needs a value"
        case $option in
        --carry) export BATON_CARRY="${BATON_CARRY:+$BATON_CARRY;}$value" ;;
        --hook) export BATON_HOOKS="${BATON_HOOKS:+$BATON_HOOKS;}$value" ;;
        --config)
            if ! [ -f "$value" ] || ! [ -r "$value" ]; then
                usage_error "--config $value: cannot read this file"
            fi
            value=$(run_absolute "$value")
            export BATON_CONFIG="$value"
            ;;
        --report)
            [ "$value" = stderr ] || value=$(run_absolute "$value")
            export BATON_REPORT="$value"
            ;;
        esac
    done
    [ $# -gt 0 ] || usage_error "run: no program given"

    run_find "$1"
    [ -f "$library" ] || fail "cannot find $library (in the source tree, run make first)"
    case $library in
    *[:\ ]*) fail "cannot preload $library: LD_PRELOAD has no way to write a space or colon in a path" ;;
    esac
    if run_is_musl; then
        echo "baton: $program: made for musl, another C library; it runs without baton" >&2
        exec "$@"
    fi
    case ${BATON_HOOKS:+hooks}${BATON_CONFIG:+file}${BATON_CARRY-} in
    # weak: a setter may have to be watched
    hooks* | file* | *,weak*) run_plan ;;
    esac
    preload=$(run_preload)
    export LD_PRELOAD="$preload"
    # The name as typed, so that the program's argv[0] is what it would be without us.
    exec "$@"
}

# The program may change its directory before the library reads or writes the file.
run_absolute() {
    case $1 in
    /*) printf '%s' "$1" ;;
    *) printf '%s/%s' "$PWD" "$1" ;;
    esac
}

# program=PATH of what exec will find, or the end. Not `command -v`: that knows builtins too.
run_find() {
    program=
    case $1 in
    */*)
        [ -e "$1" ] || fail "$1: no such program" 127
        if ! [ -f "$1" ] || ! [ -x "$1" ]; then fail "$1: cannot be run (not an executable file)" 126; fi
        program=$1
        return
        ;;
    esac
    refused=
    rest=${PATH:-/usr/bin:/bin}:
    while [ -n "$rest" ]; do
        dir=${rest%%:*}
        rest=${rest#*:}
        candidate=${dir:-.}/$1
        [ -f "$candidate" ] || continue
        if [ -x "$candidate" ]; then program=$candidate; return; fi
        refused=$candidate
    done
    [ -z "$refused" ] || fail "$refused: cannot be run (not an executable file)" 126
    fail "$1: no such program in PATH" 127
}

# musl's loader ends a program whose preload needs glibc. The loader's name stands behind the headers.
run_is_musl() {
    head -c 4096 "$program" 2>/dev/null | LC_ALL=C grep -qaF /ld-musl-
}

# object=PATH of the object for functions that the user names, or nothing. Said by baton-plan: what
# cannot be hooked.
object=
run_plan() {
    planner=${library%/*}/baton-plan
    [ -x "$planner" ] || return 0
    object=$(LD_PRELOAD="" "$planner" object "$program") || object=
}

# libasan refuses to work when another library precedes it: it comes first, then we, then the rest.
run_preload() {
    first=
    others=
    for entry in $(printf '%s' "${LD_PRELOAD-}" | tr ':' ' '); do
        case ${entry##*/} in
        libasan.so* | libclang_rt.asan*) first="$first$entry:" ;;
        [0-9a-f]*.so) case $entry in */baton/* | /tmp/baton-*) ;; *) others="$others:$entry" ;; esac ;;
        "${library##*/}") [ "$entry" = "$library" ] || others="$others:$entry" ;;
        *) others="$others:$entry" ;;
        esac
    done
    # The name stands in the program's string table only when it needs it; ldd, which is slow, knows where.
    if [ -z "$first" ] && LC_ALL=C grep -qF -e libasan.so -e libclang_rt.asan "$program" 2>/dev/null; then
        first=$(ldd "$program" 2>/dev/null |
            awk '$1 ~ /^libasan\.so|^libclang_rt\.asan/ && $3 ~ /^\// { print $3 ":"; exit }')
    fi
    printf '%s%s%s%s' "$first" "${object:+$object:}" "$library" "$others"
}
