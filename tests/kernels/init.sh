#!/bin/sh
# The first process of a machine of `npm run test:kernels`: makes it ready, has tests/kernels/guest.ts work there, and ends it.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
[ -c /dev/null ] || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
ip link set lo up
hostname guest
for module in veth tun dummy bridge macvlan vlan nf_tables nft_ct nft_compat nf_conntrack nf_conntrack_netlink ip_tables \
  iptable_filter ip6table_filter xt_mark xt_conntrack unix_diag inet_diag tcp_diag udp_diag raw_diag netlink_diag \
  af_packet_diag vsock autofs4 overlay binfmt_misc; do
  modprobe "$module" 2>/dev/null
done
# The kernel's own thread makes none of memory that is not there: it would be taken for ours.
echo 0 >/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none
echo always >/sys/kernel/mm/transparent_hugepage/enabled
cd /criu-ts || exit
echo # The firmware leaves its line unfinished.
# An emulated processor is slow: more time is given to all that has a time.
TEST_SLOWNESS=5 node_modules/.bin/bun tests/kernels/guest.ts </dev/null
echo "@ end $?"
sync
echo o >/proc/sysrq-trigger
sleep 60
