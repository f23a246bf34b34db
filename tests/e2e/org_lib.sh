# shellcheck shell=sh
# org_lib.sh - the ceremony driven by people apart, for the tests of this folder: no node runs.
#
#     nairobi   root-1 and the offices' keys      geneva   root-2      bogota   root-3
#
# Two of the three sign together. HQ holds everything, KEN has the device ken-1. Files go from place to place by cp.
org="$VIGIL_BUILD/vigil-org"
device="$VIGIL_BUILD/e2e-device"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
quick="--passphrase-fd 0 --key-memory 64"
signing="--yes $quick"

fail() {
    echo "$(basename "$0"): $1" >&2
    exit 1
}

# expect CODE PASSPHRASES COMMAND...: run it; a failure says what, why and what to do.
expect() {
    want=$1
    lines=$2
    shift 2
    code=0
    printf "$lines" | "$@" >out 2>err || code=$?
    [ "$code" = "$want" ] || fail "$* gave $code, not $want: $(cat err)"
    if [ "$want" != 0 ]; then
        [ "$(wc -l <err)" = 3 ] || fail "$* complains in other than three lines: $(cat err)"
        grep -q '^  why: ' err && grep -q '^  do:  ' err || fail "$* does not say why and what to do"
    fi
    if grep -q "secret" out err; then
        fail "$* prints a passphrase"
    fi
}

says() {
    grep -q -e "$1" out || fail "it does not say '$1': $(cat out)"
}

complains() {
    grep -q -e "$1" err || fail "it does not complain that '$1': $(cat err)"
}

# Who may do what, as the device hq-1 learns it from the statements of a place; in the file `seen`.
look_at() {
    "$device" welcome hq-1 hq-1.request.welcome "$1/organisation.statements" | sort >seen
}

found_apart() {
    mkdir nairobi geneva bogota
    for name in hq-1 ken-1; do
        "$device" request "$name" "$name.request"
    done
    expect 0 'secret1\nsecret2\nsecret3\n' "$org" init nairobi --name "Defenders" $quick
    expect 0 'secret1\nsecret2\nsecretH\n' "$org" enrol nairobi --office HQ --everything hq-1.request $quick
    expect 0 'secret1\nsecret2\nsecretK\n' "$org" enrol nairobi --office KEN ken-1.request $quick
    mv nairobi/root-2.key geneva
    mv nairobi/root-3.key bogota
    cp nairobi/organisation.statements geneva
    cp nairobi/organisation.statements bogota
}
