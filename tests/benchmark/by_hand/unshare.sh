# The evidence of the lesson unshare, by hand.
look='readlink /proc/self/ns/uts; uname -n; echo $$'

sh -c "$look"
sh -c "$look"
unshare --uts sh -c "$look; hostname container_001; $look"
unshare --pid sh -c '
  readlink /proc/self/ns/pid
  sh -c "echo \$\$; readlink /proc/self/ns/pid"
  /bin/true' 2>/dev/null
sh -c "$look"
