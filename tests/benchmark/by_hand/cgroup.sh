# The evidence of the lesson cgroup, by hand.
look='cat /proc/self/cgroup; readlink /proc/self/ns/cgroup'
top=$(findmnt --noheadings --first-only --output TARGET --types cgroup --options pids ||
  findmnt --noheadings --first-only --output TARGET --types cgroup2) || exit
group=$top/steps-$$

sh -c "$look"
mkdir "$group" "$group/a" "$group/a/b"
sh -c "echo 0 >$group/a/b/cgroup.procs; $look
  unshare --cgroup sh -c '$look; cat /proc/$$/cgroup'
  echo 1 >$group/pids.max; (:)"
sh -c "$look"
rmdir "$group/a/b" "$group/a" "$group"
