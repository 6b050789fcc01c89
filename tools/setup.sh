#!/bin/sh
# Set up what the Makefile's targets need, and nothing twice.
#
#   tools/setup.sh demo      .venv with the library, its command line and what that needs
#   tools/setup.sh dev       the same with every extra and the tools for development
#   tools/setup.sh fuzz      the fuzzer, into a .venv that has the above
#   tools/setup.sh rivals    .venv-rivals with the library and the caches it is compared with
#   tools/setup.sh servers   a Redis or Valkey server, PostgreSQL and Chromium, from the system's
#                            packages where there is none
#
# PYTHON names the interpreter for .venv; by default the first of 3.11 or newer that is found.
# FRESHWELL_TEST_SERVER names the server; by default redis-server, else valkey-server.
# FRESHWELL_TEST_POSTGRES names the folder of PostgreSQL's programs; by default the newest below
# /usr/lib/postgresql, else where postgres is on the PATH.
set -eu
cd "$(dirname "$0")/.."

VENV=.venv
REQUIREMENTS=
LOG=$(mktemp)
POLICY=${FRESHWELL_SETUP_POLICY:-/usr/sbin/policy-rc.d}  # named by the tests of this script
# More that its tests name: where Debian puts the programs, what new clusters are made by, and what
# says which system it is.
DEBIAN=${FRESHWELL_SETUP_POSTGRES:-/usr/lib/postgresql}
CLUSTERS=${FRESHWELL_SETUP_CLUSTERS:-/etc/postgresql-common/createcluster.conf}
KEPT=$CLUSTERS.freshwell
RELEASE=${FRESHWELL_SETUP_RELEASE:-/etc/os-release}
policy_is_ours=no
clusters_are_ours=no

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

say() {
    printf 'setup: %s\n' "$1" >&2
}

leave() {
    rm -f "$LOG"
    if [ "$policy_is_ours" = yes ]; then as_root rm -f "$POLICY"; fi
    if [ "$clusters_are_ours" = yes ]; then as_root mv -f "$KEPT" "$CLUSTERS"; fi
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# quietly SENTENCE COMMAND...: show the command's words only if it fails, and then end.
quietly() {
    sentence=$1
    shift
    if ! "$@" >"$LOG" 2>&1; then
        tail -n 20 "$LOG" >&2
        fail "$sentence"
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

may_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null 2>&1
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "$@"
}

# A fresh machine has no lists of packages, an old one has stale ones.
install_packages() {
    apt_install "$@" || { as_root apt-get update -q && apt_install "$@"; }
}

# -- Python ----------------------------------------------------------------------------------

is_new_enough() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if is_new_enough "$name"; then
            printf '%s\n' "$name"
            return
        fi
    done
    fail "no Python 3.11 or newer was found: install one, or set PYTHON to its path"
}

make_venv() {
    if [ -x $VENV/bin/python ] && is_new_enough $VENV/bin/python; then return; fi
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        may_install || fail "this Python cannot make environments: install $package"
        say "installing $package"
        quietly "$package could not be installed: install it, and try again" \
            install_packages "$package"
    fi
    say "making $VENV"
    quietly "$VENV could not be made" "$python" -m venv --clear $VENV
}

# A stamp holds what was asked for: the same again is done already.
fingerprint() {
    {
        printf '%s\n' "$PWD" "$@"
        $VENV/bin/python --version
        cat pyproject.toml $REQUIREMENTS
    } | cksum
}

# install LEVEL WHAT...: install WHAT into .venv, unless its stamp says that it is there.
install() {
    level=$1
    shift
    make_venv
    stamp=$VENV/freshwell-$level.stamp
    wanted=$(fingerprint "$@")
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then return; fi
    if ! $VENV/bin/python -m pip --version >/dev/null 2>&1; then
        quietly "pip could not be put into $VENV" $VENV/bin/python -m ensurepip
    fi
    say "installing ($level): a minute at most, once"
    # Groups of dependencies need pip 25.1.
    if ! has_groups; then
        quietly "pip could not be renewed: is the network reachable?" \
            $VENV/bin/python -m pip install --disable-pip-version-check -q --upgrade "pip>=25.1"
    fi
    quietly "the packages could not be installed: is the network reachable?" \
        $VENV/bin/python -m pip install --disable-pip-version-check -q "$@"
    printf '%s\n' "$wanted" >"$stamp"
}

has_groups() {
    $VENV/bin/python -c '
import sys
from importlib.metadata import version
sys.exit([int(part) for part in version("pip").split(".")[:2]] < [25, 1])' >/dev/null 2>&1
}

# -- servers ---------------------------------------------------------------------------------

find_server() {
    for name in ${FRESHWELL_TEST_SERVER:-redis-server valkey-server}; do
        if command -v "$name" >/dev/null 2>&1; then
            printf '%s\n' "$name"
            return
        fi
    done
    return 1
}

find_postgres() {
    if [ -n "${FRESHWELL_TEST_POSTGRES:-}" ]; then
        has_postgres "$FRESHWELL_TEST_POSTGRES"
        return
    fi
    for folder in "$DEBIAN"/*/bin; do
        if has_postgres "$folder"; then return; fi
    done
    command -v initdb >/dev/null 2>&1 && command -v postgres >/dev/null 2>&1
}

has_postgres() {
    [ -x "$1/initdb" ] && [ -x "$1/postgres" ]
}

# Pages are looked at with it. Where it is no package of the system's (Ubuntu has a snap in its
# place), Selenium gets one for itself.
find_chromium() {
    command -v chromedriver >/dev/null 2>&1 || return 1
    for name in chromium chromium-browser google-chrome; do
        if command -v $name >/dev/null 2>&1; then return; fi
    done
    return 1
}

has_chromium_package() {
    may_install && grep -q '^ID=debian$' "$RELEASE" 2>/dev/null
}

# The tests start servers of their own. The packages' services would take memory and ports for
# nothing, so they are neither started now nor at the next boot.
# without_service SERVICE COMMAND...: run COMMAND, which installs SERVICE.
without_service() {
    service=$1
    shift
    if [ ! -e "$POLICY" ]; then
        policy_is_ours=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
        as_root chmod 755 "$POLICY"
    fi
    "$@" || return 1
    if [ -d /run/systemd/system ]; then as_root systemctl disable --now "$service" || :; fi
}

# The package makes a cluster of databases for its service, unless it is told before. Afterwards
# it is told what it was told: clusters that people make by hand are none of ours.
install_postgres() {
    install_packages postgresql-common || return 1
    as_root cp -p "$CLUSTERS" "$KEPT" || return 1
    clusters_are_ours=yes
    echo 'create_main_cluster = false' | as_root tee -a "$CLUSTERS" >/dev/null || return 1
    install_packages postgresql
}

# need WHAT VARIABLE PACKAGE COMMAND...: install PACKAGE by COMMAND, or say what to do instead.
need() {
    what=$1 variable=$2 package=$3
    shift 3
    may_install || fail "no $what was found, and it takes apt-get with root or sudo to install \
one: install it, or set $variable to its path"
    say "installing $package"
    quietly "$package could not be installed: install it, and try again" "$@"
}

servers() {
    if ! find_server >/dev/null; then
        [ -z "${FRESHWELL_TEST_SERVER:-}" ] ||
            fail "FRESHWELL_TEST_SERVER names '$FRESHWELL_TEST_SERVER', which is not there"
        need "redis-server or valkey-server" FRESHWELL_TEST_SERVER redis-server \
            without_service redis-server install_packages redis-server
    fi
    server=$(find_server) || fail "redis-server was installed, and cannot be found"
    case $("$server" --version) in
        *v=[1-6].*) fail "$server is older than 7.0: set FRESHWELL_TEST_SERVER to a newer one" ;;
    esac
    if ! find_postgres; then
        [ -z "${FRESHWELL_TEST_POSTGRES:-}" ] || fail "FRESHWELL_TEST_POSTGRES names \
'$FRESHWELL_TEST_POSTGRES', which is no folder with initdb and postgres"
        need PostgreSQL FRESHWELL_TEST_POSTGRES postgresql \
            without_service postgresql install_postgres
        find_postgres || fail "postgresql was installed, and cannot be found"
    fi
    if ! find_chromium && has_chromium_package; then
        say "installing chromium"
        quietly "chromium could not be installed: install it and chromedriver, and try again" \
            install_packages chromium chromium-driver
    fi
}

case ${1:-} in
    demo) install demo --editable ".[cli,redis]" ;;
    dev) install dev --editable ".[all]" --group dev ;;
    fuzz) install fuzz --group fuzz ;;
    rivals)
        VENV=.venv-rivals
        REQUIREMENTS=benchmarks/rivals/requirements.txt
        install rivals --editable ".[redis]" --requirement $REQUIREMENTS
        ;;
    servers) servers ;;
    *) fail "use: tools/setup.sh demo | dev | fuzz | rivals | servers" ;;
esac
