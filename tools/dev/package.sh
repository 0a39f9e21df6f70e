# ./dev package: the Debian package, from what debian/ says.

help_package() {
  cat <<EOF
usage: ./dev package [--version VERSION] [--lint]

Builds the Debian package of both daemons, the command line and the units of systemd from the files as they stand, into
$PACKAGE_DIRECTORY/. VERSION instead of that of debian/changelog: of a snapshot, say, as in 0.1.0+git20260101. --lint has
lintian judge it.

  apt install ./$PACKAGE_DIRECTORY/guideway_*_amd64.deb
EOF
}

PACKAGE_DIRECTORY=build-package

dev_package() {
  local version='' lint=''
  while [ $# != 0 ]; do
    case $1 in
    --version) [ $# -ge 2 ] || refuse "--version takes a VERSION"; version=$2; shift ;;
    --lint) lint=yes ;;
    *) refuse "./dev package takes --version and --lint, not '$1'" ;;
    esac
    shift
  done
  [ -z "$version" ] || dpkg --validate-version "$version" >/dev/null 2>&1 ||
    refuse "'$version' is no version of a Debian package"
  ensure_packages
  build_package "$version" || exit 1
  step "$(package_file)"
  [ -z "$lint" ] || lintian --fail-on error,warning "$(package_file)" || fail "lintian objects"
}

# The one that was built last.
package_file() { ls -t "$PACKAGE_DIRECTORY"/guideway_*.deb | head -n 1; }

# In a copy of the sources, which stays: what hasn't changed isn't compiled again.
build_package() {
  local version=$1 sources=$PACKAGE_DIRECTORY/guideway log=$PWD/$PACKAGE_DIRECTORY/build.log
  step "building the package"
  mkdir -p "$sources"
  find "$sources" -mindepth 1 -maxdepth 1 ! -name 'obj-*' -exec rm -rf {} + || return 1
  tar -c --exclude='./build*' --exclude=./.git --exclude=__pycache__ . | tar -x -C "$sources" || return 1
  [ -z "$version" ] || sed -i "1s/(.*)/($version)/" "$sources/debian/changelog"
  rm -f "$PACKAGE_DIRECTORY"/guideway_*.deb
  (cd "$sources" && DEB_BUILD_OPTIONS="noautodbgsym parallel=$(nproc)" \
    quietly "$log" dpkg-buildpackage --build=binary --unsigned-changes --no-pre-clean)
}
