# Sourced by scripts/with-node and by the programs in bin/.

# Sets $node to the runtime of the checkout $1: the pinned one, or the system's where none is made for this machine.
# Fails when neither can be used; $node_found then says what there is.
find_node() {
  node=$1/node_modules/.bin/node
  # Run, not only looked at: a package for another C library is installed all the same.
  if [ -x "$node" ] && "$node" --version >/dev/null 2>&1; then return 0; fi
  node_found='no Node.js was found'
  node=$(command -v node) || return 1
  version=$("$node" --version 2>/dev/null) || return 1
  node_found="$node is $version"
  version=${version#v}
  # Types are stripped, and node:sqlite is there, from 24 on.
  [ "${version%%.*}" -ge 24 ] 2>/dev/null
}
