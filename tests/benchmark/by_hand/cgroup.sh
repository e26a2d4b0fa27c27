look='cat /proc/self/cgroup; readlink /proc/self/ns/cgroup'
top=$(findmnt --noheadings --first-only --output TARGET --types cgroup --options pids ||
  findmnt --noheadings --first-only --output TARGET --types cgroup2) || exit
group=$top/steps-$$

sh -c "$look"
mkdir "$group" "$group/a" "$group/a/b"
sh -c "echo 0 >$group/a/cgroup.procs; $look
  sh -c 'echo 0 >$group/a/b/cgroup.procs; upper=\$PPID
    cat /proc/\$upper/cgroup; $look
    unshare --cgroup sh -c \"cat /proc/\$upper/cgroup; $look\"
    echo 2 >$group/pids.max; (:)'
  echo 3 >$group/pids.max; (:)"
sh -c "$look"
rmdir "$group/a/b" "$group/a" "$group"
