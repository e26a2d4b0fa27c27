user='setpriv --reuid=1000 --regid=1000 --clear-groups'
[ "$(id -u)" = 0 ] || user=
look='id -u; id -g; grep CapEff /proc/self/status; readlink /proc/self/ns/user'

$user sh -c "$look"
$user sh -c "echo 0 1000 1 >/proc/self/uid_map" 2>/dev/null
$user unshare --user sh -c "
  $look; cat /proc/sys/kernel/overflowuid /proc/sys/kernel/cap_last_cap
  echo 0 1000 1 >/proc/self/gid_map" 2>/dev/null
$user unshare --user --map-root-user sh -c "
  $look; echo 0 1000 1 >/proc/self/uid_map
  grep Uid /proc/self/status; stat -c %u /proc/self/fd
  hostname \$(uname -n); unshare --uts hostname container_001" 2>/dev/null
$user sh -c "$look"
