#!/usr/bin/env python3
"""Writes samples/mail-server.log: a day of a small mail server, as syslog would have kept it.

Everything is invented: addresses of the documentation ranges, users and hosts of example domains.
The same seed gives the same bytes; run it from the repository's root after a change.
"""
import random
from datetime import datetime, timedelta

rng = random.Random(20261121)
START = datetime(2026, 11, 20, 6, 25, 2)
END = datetime(2026, 11, 20, 23, 59, 40)
lines = []


def log(when, program, message, host="mx1"):
    lines.append((when, f"{when:%b} {when.day:2d} {when:%H:%M:%S} {host} {program}: {message}"))


def sometime():
    return START + timedelta(seconds=rng.randrange(int((END - START).total_seconds())))


def pid():
    return rng.randrange(800, 32000)


def queue_id():
    return "".join(rng.choice("0123456789ABCDEF") for _ in range(10))


def ssh_guess(when, ip, user, known):
    p, port = pid(), rng.randrange(30000, 60000)
    sshd = f"sshd[{p}]"
    if not known:
        log(when, sshd, f"Invalid user {user} from {ip} port {port}")
    who = user if known else f"invalid user {user}"
    log(when + timedelta(seconds=1), sshd,
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
        f"rhost={ip} " + (f" user={user}" if known else ""))
    log(when + timedelta(seconds=3), sshd, f"Failed password for {who} from {ip} port {port} ssh2")
    log(when + timedelta(seconds=4), sshd, f"Received disconnect from {ip} port {port}:11: Bye Bye [preauth]")


def ssh_login(when, ip, user, slips=0):
    p, port = pid(), rng.randrange(30000, 60000)
    for n in range(slips):
        log(when + timedelta(seconds=n * 4), f"sshd[{p}]", f"Failed password for {user} from {ip} port {port} ssh2")
    when += timedelta(seconds=4 * slips)
    log(when, f"sshd[{p}]", f"Accepted publickey for {user} from {ip} port {port} ssh2: ED25519 SHA256:Zm9vYmFy")
    log(when, f"sshd[{p}]", f"pam_unix(sshd:session): session opened for user {user}(uid=1000) by (uid=0)")
    log(when + timedelta(minutes=7), f"sshd[{p}]", f"pam_unix(sshd:session): session closed for user {user}")


def mail(when, client, ip):
    q, p = queue_id(), pid()
    log(when, f"postfix/smtpd[{p}]", f"connect from {client}[{ip}]")
    log(when, f"postfix/smtpd[{p}]", f"{q}: client={client}[{ip}]")
    log(when, f"postfix/cleanup[{pid()}]", f"{q}: message-id=<{rng.randrange(10**9)}@{client}>")
    log(when, "postfix/qmgr[1203]", f"{q}: from=<news@{client}>, size={rng.randrange(900, 90000)}, nrcpt=1 (queue active)")
    log(when + timedelta(seconds=1), f"postfix/lmtp[{pid()}]",
        f"{q}: to=<anna@example.org>, relay=mx1[private/dovecot-lmtp], delay=0.6, delays=0.4/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 Saved)")
    log(when + timedelta(seconds=1), "postfix/qmgr[1203]", f"{q}: removed")
    log(when + timedelta(seconds=1), f"postfix/smtpd[{p}]", f"disconnect from {client}[{ip}] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5")


def relay_try(when, ip):
    p = pid()
    log(when, f"postfix/smtpd[{p}]", f"connect from unknown[{ip}]")
    log(when + timedelta(seconds=1), f"postfix/smtpd[{p}]",
        f"NOQUEUE: reject: RCPT from unknown[{ip}]: 554 5.7.1 <victim@example.net>: Relay access denied; "
        f"from=<spam@example.com> to=<victim@example.net> proto=ESMTP helo=<[{ip}]>")
    log(when + timedelta(seconds=2), f"postfix/smtpd[{p}]", f"disconnect from unknown[{ip}] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4")


def sasl_try(when, ip, user):
    log(when, f"postfix/smtpd[{pid()}]",
        f"warning: unknown[{ip}]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username={user}")


def imap_login(when, ip, user):
    log(when, "dovecot", f"imap-login: Login: user=<{user}>, method=PLAIN, rip={ip}, lip=192.0.2.25, mpid={pid()}, TLS, session=<{rng.randrange(10**12):x}>")
    log(when + timedelta(minutes=3), "dovecot", f"imap({user})<{pid()}><{rng.randrange(10**12):x}>: Disconnected: Logged out in=512 out=20480 deleted=0 expunged=0")


def imap_try(when, ip, user):
    log(when, "dovecot", f"imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<{user}>, "
        f"method=PLAIN, rip={ip}, lip=192.0.2.25, TLS, session=<{rng.randrange(10**12):x}>")


# the people and machines that belong here
for _ in range(110):
    mail(sometime(), f"mail{rng.randrange(9)}.example.net", f"198.51.100.{rng.randrange(2, 40)}")
for _ in range(150):
    imap_login(sometime(), f"198.51.100.{rng.randrange(100, 130)}", rng.choice(["anna", "ben", "cleo"]))
for _ in range(12):
    ssh_login(sometime(), "198.51.100.7", "admin", slips=rng.choice([0, 0, 0, 2]))
for hour in range(7, 24):
    log(datetime(2026, 11, 20, hour, 17, 1), f"CRON[{pid()}]", "(root) CMD (cd / && run-parts --report /etc/cron.hourly)")

# attackers: quick, slow, distributed, by IPv6, and one that only forgot a password
for ip, guesses, gap in [("203.0.113.5", 60, 9), ("203.0.113.77", 44, 20), ("2001:db8:66::13", 18, 15),
                         ("203.0.113.200", 30, 170)]:
    when = sometime() - timedelta(hours=2)
    when = max(when, START)
    for _ in range(guesses):
        user = rng.choice(["root", "admin", "test", "oracle", "git", "ubuntu"])
        ssh_guess(when, ip, user, user == "root")
        when += timedelta(seconds=gap + rng.randrange(5))
for n in range(12):
    ssh_guess(sometime(), f"203.0.113.{130 + n}", "postgres", False)
for ip, tries, gap in [("203.0.113.41", 25, 12), ("203.0.113.42", 8, 30)]:
    when = max(sometime() - timedelta(hours=1), START)
    for _ in range(tries):
        relay_try(when, ip)
        when += timedelta(seconds=gap)
for ip, tries, gap in [("203.0.113.90", 20, 45), ("203.0.113.91", 7, 400)]:
    when = max(sometime() - timedelta(hours=2), START)
    for _ in range(tries):
        sasl_try(when, ip, rng.choice(["info", "anna@example.org", "sales"]))
        when += timedelta(seconds=gap)
for ip, tries, gap in [("203.0.113.60", 22, 8), ("2001:db8:77::5", 9, 25), ("198.51.100.111", 2, 10)]:
    when = max(sometime() - timedelta(hours=1), START)
    for _ in range(tries):
        imap_try(when, ip, rng.choice(["anna", "info", "postmaster"]))
        when += timedelta(seconds=gap)
# a user name made to look like an address: nobody but its sender may be banned for it
for n in range(6):
    when = START + timedelta(hours=5, seconds=20 * n)
    sshd = f"sshd[{pid()}]"
    log(when, sshd, "Invalid user root from 198.51.100.7 port 22 ssh2 from 203.0.113.99 port 40404")
    log(when, sshd, "Failed password for invalid user root from 198.51.100.7 port 22 ssh2 from 203.0.113.99 port 40404 ssh2")

lines.sort(key=lambda pair: pair[0])
with open("samples/mail-server.log", "w", encoding="utf-8") as out:
    for when, line in lines:
        if when <= END:
            out.write(line + "\n")
