/** What an operator, a package or an intruder could change on a server: how, in which step, and what a look must say. */
export interface Break {
  step: string;
  /** A line of bash. */
  how: string;
  says: RegExp;
}

export const BREAKS: Break[] = [
  {
    step: 'sysctl',
    how: 'sysctl -q -w net.core.somaxconn=128',
    says: /net\.core\.somaxconn is 128, not 4096/,
  },
  {
    step: 'sysctl',
    how: 'echo "# mine" >>/etc/sysctl.d/60-server.conf',
    says: /\/etc\/sysctl\.d\/60-server\.conf differs/,
  },
  {
    step: 'limits',
    how: 'rm /etc/security/limits.d/60-server.conf',
    says: /limits\.d\/60-server\.conf is missing/,
  },
  {
    step: 'upgrades',
    how: 'rm /etc/apt/apt.conf.d/99-server-upgrades; rm -f /etc/apt/apt.conf.d/20auto-upgrades',
    says: /apt does not have APT::Periodic::Unattended-Upgrade "1"/,
  },
  {
    step: 'upgrades',
    how: 'systemctl disable --now apt-daily-upgrade.timer',
    says: /apt-daily-upgrade\.timer does not run/,
  },
  {
    step: 'logs',
    how: 'chmod 666 /etc/systemd/journald.conf.d/60-server.conf',
    says: /journald\.conf\.d\/60-server\.conf has mode 666/,
  },
  {
    step: 'logs',
    how: 'systemctl mask --now logrotate.timer',
    says: /logrotate\.timer does not start with the server \(masked/,
  },
  {
    step: 'ssh',
    how: 'sed -i s/PasswordAuthentication.no/PasswordAuthentication\\ yes/ /etc/ssh/sshd_config.d/10-server.conf',
    says: /sshd has passwordauthentication yes, not no/,
  },
  { step: 'firewall', how: 'ufw --force delete allow 443/tcp', says: /UFW does not allow 443\/tcp/ },
  {
    step: 'firewall',
    how: 'ufw default allow incoming',
    says: /UFW lets in what no rule is about \(allow\)/,
  },
  {
    step: 'firewall',
    how: 'iptables -I DOCKER-USER -p tcp --dport 5432 -j ACCEPT',
    says: /the chain DOCKER-USER of iptables has other rules/,
  },
  {
    step: 'firewall',
    how: 'ip6tables -F DOCKER-USER',
    says: /the chain DOCKER-USER of ip6tables is empty/,
  },
  {
    step: 'firewall',
    how: 'systemctl disable docker-firewall',
    says: /docker-firewall\.service does not start with the server/,
  },
  { step: 'user', how: 'gpasswd --delete deploy docker', says: /deploy is not in the group docker/ },
  { step: 'user', how: 'echo deploy:secret | chpasswd', says: /deploy has a password/ },
  { step: 'user', how: 'chmod 644 /home/deploy/.ssh/authorized_keys', says: /authorized_keys has mode 644/ },
  { step: 'fail2ban', how: 'fail2ban-client stop nginx-limit', says: /the jail nginx-limit is not active/ },
  {
    step: 'fail2ban',
    how: 'sed -i s/nginx-refused/mine/ /etc/fail2ban/filter.d/nginx-json.conf',
    says: /nginx-json\.conf differs/,
  },
  {
    step: 'fail2ban',
    how: 'systemctl disable --now nginx-refused@acme-nginx-production',
    says: /nginx-refused@acme-nginx-production\.service does not run/,
  },
  {
    step: 'user',
    how: ': >/home/deploy/.ssh/authorized_keys',
    says: /the key workflow of DEPLOY_AUTHORIZED_KEYS has no line/,
  },
  {
    step: 'directories',
    how: 'chmod 755 /opt/acme/backups',
    says: /\/opt\/acme\/backups has mode 755, not 700/,
  },
  {
    step: 'directories',
    how: 'touch /opt/acme/nginx/mine',
    says: /\/opt\/acme\/nginx\/mine does not belong to deploy/,
  },
  {
    step: 'directories',
    how: 'chmod 644 /opt/acme/.env.production',
    says: /\.env\.production has mode 644, not 600/,
  },
  { step: 'schedule', how: 'crontab -u deploy -r', says: /the crontab of deploy does not have \d of them/ },
  { step: 'schedule', how: 'systemctl disable --now cron', says: /cron\.service does not run/ },
];

/** Where there is Docker. */
export const DOCKER_BREAKS: Break[] = [
  {
    step: 'docker',
    how: `echo '{ "live-restore": false, "debug": false }' >/etc/docker/daemon.json`,
    says: /daemon\.json has live-restore false, not true/,
  },
  {
    step: 'docker',
    how: 'systemctl disable --now docker.service docker.socket',
    says: /docker\.service does not run \(inactive\)/,
  },
];
