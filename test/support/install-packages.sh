#!/bin/sh
# Installs Debian packages for tests and the benchmark, and leaves every service stopped and disabled.
#
#   install-packages.sh LOG PACKAGE...
#
# Exit: 0 installed, 1 apt-get failed, 2 a service runs, 3 the lock was not free in time. Everything apt-get
# and dpkg say goes to LOG. It runs detached and deaf to signals, because an interrupted dpkg leaves a broken
# system: what it changes meanwhile (policy-rc.d) it puts back itself, whatever became of its caller. Killed
# outright, it leaves $state behind, and the next run first finishes what this one began.
#
# MAILSHUNT_ROOT: put before every path that is changed here, so that tests can try it on a folder.
set -u
trap '' HUP INT TERM PIPE

root=${MAILSHUNT_ROOT-}
policy=$root/usr/sbin/policy-rc.d
state=$root/var/lib/mailshunt-test-packages
lock=$root/run/lock/mailshunt-test-packages
log=$1
shift

say() { printf 'mailshunt: %s\n' "$*" >&2 2>/dev/null || :; }

# What systemd and sysvinit would start at the next boot.
enabled() {
  for folder in "$root"/etc/systemd/system "$root"/etc/rc[0-6S].d; do
    [ -d "$folder" ] || continue
    case $folder in
      */systemd/system) find "$folder" -type l ;;
      *) find "$folder" -name 'S*' ;;
    esac
  done | LC_ALL=C sort
}

# The state folder appears whole, by one rename, before anything is changed.
remember() {
  rm -rf "$state.new"
  mkdir -p "$state.new" || return 1
  if [ -e "$policy" ] || [ -L "$policy" ]; then cp -a "$policy" "$state.new/policy-rc.d" || return 1; fi
  enabled >"$state.new/enabled" && mv "$state.new" "$state"
}

forbid_services() {
  mkdir -p "${policy%/*}" &&
    printf '#!/bin/sh\n# Put here by mailshunt while it installs packages for its tests.\nexit 101\n' >"$policy.mailshunt" &&
    chmod 755 "$policy.mailshunt" && mv -f "$policy.mailshunt" "$policy"
}

restore() {
  enabled | LC_ALL=C comm -13 "$state/enabled" - | while read -r link; do
    name=${link##*/}
    case $link in
      */systemd/system/*) systemctl ${root:+--root="$root"} --quiet disable "$name" ;;
      *) update-rc.d "${name#S[0-9][0-9]}" disable ;;
    esac
    # A unit that systemctl does not find (an alias, say) keeps its link.
    case $link in */systemd/system/*) rm -f "$link" ;; esac
  done >>"$log" 2>&1 9>&-
  if [ -e "$state/policy-rc.d" ] || [ -L "$state/policy-rc.d" ]; then
    cp -a "$state/policy-rc.d" "$policy.mailshunt" && mv -fT "$policy.mailshunt" "$policy" || return 1
  else
    rm -f "$policy"
  fi
  rm -rf "$state"
}

missing() {
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = 'install ok installed' ] || echo "$package"
  done
}

# Prints the program of the first process that runs a file of one of the packages.
running() {
  dpkg-query -L "$@" 2>/dev/null | LC_ALL=C sort -u >"$state/files"
  for process in "$root"/proc/[0-9]*; do
    readlink "$process/exe"
  done 2>/dev/null | grep -Fxf "$state/files" | head -n 1
}

apt() {
  apt-get -y -q --no-remove --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Acquire::Retries=2 -o Acquire::http::Timeout=60 "$@" \
    </dev/null >>"$log" 2>&1 9>&-
}

# Without the key no package of this name is installed, nor asked about.
preseed() {
  case " $* " in
    *' postfix '*)
      echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections >>"$log" 2>&1 9>&- ;;
  esac
}

install() {
  # Downloads come first: they may take long, and nothing has been changed yet.
  if ! apt install --download-only "$@"; then
    apt update && apt install --download-only "$@" || return 1
  fi
  [ -d "$state" ] || remember || return 1
  forbid_services && preseed "$@" && apt install --no-download "$@"
}

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C
mkdir -p "${lock%/*}" "${state%/*}" && exec 9>"$lock" || exit 3
# Longer than any installation here takes, downloads included.
flock -w 900 9 || exit 3

if [ -d "$state" ]; then
  say 'finishing an installation that was interrupted'
  forbid_services && dpkg --configure -a </dev/null >>"$log" 2>&1 9>&-
  restore || exit 1
fi

wanted=$(missing "$@")
[ -n "$wanted" ] || exit 0
# shellcheck disable=SC2086 # package names hold no blanks
set -- $wanted

# The words after "Inst" in apt-get's rehearsal, those asked for left out.
others=$(apt-get -s -q --no-remove --no-install-recommends install "$@" 2>/dev/null 9>&- |
  sed -n 's/^Inst \([^ ]*\).*/\1/p' | grep -Fxv "$wanted" | tr '\n' ' ')
say "installing the Debian packages $*${others:+ (with ${others% })}; no service is started or enabled"

status=0
install "$@" || status=1
if [ -d "$state" ]; then
  # shellcheck disable=SC2086
  service=$(running "$@" $others)
  if [ -n "$service" ]; then
    say "$service runs, although no service may be started"
    echo "E: $service runs, although no service may be started" >>"$log"
    status=2
  fi
  restore || status=1
fi
exit $status
