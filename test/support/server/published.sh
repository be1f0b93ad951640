#!/bin/bash
# What Docker does for a container that publishes 80 and 8080: a bridge, an address on it, and rules that pass packets on
# before UFW sees them. The server of the container answers `container` on both ports.
set -euo pipefail
ip netns add container
ip link add br-0123456789ab type bridge
ip address add 172.30.0.1/16 dev br-0123456789ab
ip link set br-0123456789ab up
ip link add veth0 type veth peer name eth0 netns container
ip link set veth0 master br-0123456789ab up
ip -n container address add 172.30.0.2/16 dev eth0
ip -n container link set eth0 up
ip -n container link set lo up
ip -n container route add default via 172.30.0.1
sysctl -q -w net.ipv4.ip_forward=1
iptables -t nat -N DOCKER
iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
iptables -t nat -A POSTROUTING -s 172.30.0.0/16 ! -o br-0123456789ab -j MASQUERADE
for port in 80 8080; do
    iptables -t nat -A DOCKER ! -i br-0123456789ab -p tcp --dport $port -j DNAT --to-destination 172.30.0.2:$port
done
iptables -N DOCKER
iptables -A DOCKER -d 172.30.0.2/32 ! -i br-0123456789ab -o br-0123456789ab -p tcp -j ACCEPT
iptables -I FORWARD -o br-0123456789ab -j DOCKER
iptables -I FORWARD -o br-0123456789ab -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -I FORWARD -i br-0123456789ab ! -o br-0123456789ab -j ACCEPT
iptables -N DOCKER-USER 2>/dev/null || true
iptables -A DOCKER-USER -j RETURN
iptables -I FORWARD -j DOCKER-USER
for port in 80 8080; do
    systemd-run --quiet --unit "container-$port" ip netns exec container python3 -c "
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'container')
http.server.HTTPServer(('', $port), Answer).serve_forever()"
done
