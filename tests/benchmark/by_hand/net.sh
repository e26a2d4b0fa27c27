look='readlink /proc/self/ns/net; ip -brief link'
reach='bash -c ": >/dev/tcp/127.0.0.1/8080" 2>/dev/null'

sh -c "$look"
unshare --net sh -c "
  outer=\$\$
  $look; ip link set lo up; $reach
  sh -c '$look'; $reach
  unshare --net sh -c '
    $look; $reach
    ip link set lo up; $reach
    ip link add inner type veth peer name outer netns '\$outer'
    ip address add 192.0.2.2/24 dev inner
    ip link set inner up
    nsenter --target '\$outer' --net ip address add 192.0.2.1/24 dev outer
    nsenter --target '\$outer' --net ip link set outer up
    ip -brief -4 address'
  ip -brief -4 address"
sh -c "$look"
