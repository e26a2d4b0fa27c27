look='readlink /proc/self/ns/time; cat /proc/uptime; date --utc "+%F %T"'

sh -c "$look"
sh -c "$look"
unshare --time --monotonic 8640000 --boottime 8640000 sh -c "
  $look
  cat /proc/self/timens_offsets
  nsenter --target $$ --time sh -c 'readlink /proc/self/ns/time; cat /proc/uptime'
  echo monotonic 8640000 0 >/proc/self/timens_offsets" 2>/dev/null
sh -c "$look"
