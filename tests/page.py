"""What a browser makes of the page; started by tests/page in a network, mounts and a host name of its own."""

import json
import os
import random
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = os.environ.get("FERROBAN", ROOT / "target/debug/ferroban")
PASSWORD = "a long password"
SITE = "http://127.0.0.1:8080/f2b"
# what strangers write wherever they can
EVIL = "\"'><script>alert(1)</script><img/src=x/onerror=alert(2)>"
PAGES = ["/", "/banned", "/past", "/live", "/explain", "/replay", "/jail/sshd", "/address/192.0.2.7"]
SIZES = {"phone": (390, 844), "desktop": (1280, 900)}


def check(truth, *why):
    """An assertion that shows what there was instead."""
    if not truth:
        raise AssertionError(" ".join(str(one) for one in why))


def eventually(there, *why):
    end = time.monotonic() + 60
    while True:
        try:
            found = there()
        except (NoSuchElementException, StaleElementReferenceException, OSError):
            found = None
        if found:
            return found
        check(time.monotonic() < end, "never:", *why)
        time.sleep(0.1)


def begin_network():
    """The loopback, and names that lead to it: the registry that answers questions about addresses is ours."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    socket.sethostname("mx1.example.org")
    hosts = tempfile.NamedTemporaryFile("w", delete=False)
    hosts.write("127.0.0.1 localhost whois.iana.org\n")
    hosts.close()
    subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)
    listener = socket.create_server(("127.0.0.1", 43))

    def answer():
        while True:
            peer, _ = listener.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(f"netname: {EVIL}\r\ncountry: ZZ\r\n".encode())

    threading.Thread(target=answer, daemon=True).start()


class Home:
    """A server with two jails, its web process, and what they write."""

    def __init__(self, directory, plain=False):
        self.directory = Path(directory)
        self.processes = []
        write = self.write
        write("fail2ban.local", f"""[Definition]
socket = {directory}/socket
pidfile = {directory}/pid
dbfile = {directory}/db
logtarget = {directory}/log
[web]
listen = 127.0.0.1:8080
base = /f2b
users = {directory}/users
write = true
""")
        # the name of a log may hold anything but blanks
        self.odd = self.directory / "odd\"'><svg>.log"
        self.odd.touch()
        write("filter.d/app.conf", "[Definition]\nfailregex = ^ app: <F-USER>.*</F-USER> denied from <ADDR>$\n")
        jail = "[{0}]\nenabled = true\nfilter = {1}\nbackend = polling\nlogpath = {2}\naction =\nmaxretry = 3\n"
        other = "postfix" if plain else "app<i>\"'"
        write("jail.local", jail.format("sshd", "sshd", f"{directory}/auth.log")
              + jail.format(other, "app", self.odd))
        write("auth.log", "")
        for name, role in (("anna", "operator"), ("otto", "viewer")):
            done = subprocess.run([PROGRAM, "web", "user", "add", "-c", directory, "--role", role, name],
                                  input=PASSWORD + "\n", text=True, capture_output=True)
            check(done.returncode == 0, done)

    def write(self, name, text):
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def start(self):
        log = open(self.directory / "web.log", "w")
        self.processes.append(subprocess.Popen([PROGRAM, "server", "-c", self.directory, "-f", "start"],
                                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        eventually(lambda: "sshd" in self.ask("status"), "the server")
        self.processes.append(subprocess.Popen([PROGRAM, "web", "-c", self.directory], stderr=log))
        eventually(lambda: socket.create_connection(("127.0.0.1", 8080)), "the web process")

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()

    def ask(self, *words):
        asked = subprocess.run([PROGRAM, "client", "-c", self.directory, *words], capture_output=True, text=True)
        return asked.stdout.strip()

    def banned(self, address):
        return "sshd" in self.ask("banned", address)

    def fail(self, address, times=3, user="root"):
        now = time.strftime("%b %d %H:%M:%S")
        line = f"{now} host sshd[1]: Failed password for invalid user {user} from {address} port 22 ssh2\n"
        with open(self.directory / "auth.log", "a") as log:
            log.write(line * times)

    def fail_app(self, address, user, times=3):
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        with open(self.odd, "a") as log:
            log.write(f"{now} app: {user} denied from {address}\n" * times)


class Browser:
    def __init__(self, directory, dark=False):
        options = webdriver.ChromeOptions()
        for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--disable-dev-shm-usage", "--hide-scrollbars", f"--user-data-dir={directory}"):
            options.add_argument(flag)
        if dark:
            options.add_argument("--force-dark-mode")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.binary_location = "/usr/bin/chromium"
        service = webdriver.chrome.service.Service("/usr/bin/chromedriver")
        self.driver = webdriver.Chrome(service=service, options=options)
        self.driver.set_page_load_timeout(60)

    def cdp(self, command, **fields):
        return self.driver.execute_cdp_cmd(command, fields)

    def looks(self, size, dark):
        width, height = SIZES[size]
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                 mobile=size == "phone")
        scheme = "dark" if dark else "light"
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def go(self, path):
        self.driver.get(SITE + path)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector="main"):
        return self.find(selector).text

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def press(self, name):
        """Presses a button or follows a link by what it says; a form is answered by another page."""
        for part in ("main", "header"):
            found = self.driver.find_elements(
                By.XPATH, f"//{part}//*[self::a or self::button][normalize-space()='{name}']")
            if found:
                found[0].click()
                return
        raise AssertionError(f"no {name!r} in {self.text('body')}")

    def log_in(self, name, password=PASSWORD):
        self.go("/login")
        self.find("input[name=name]").send_keys(name)
        self.find("input[name=password]").send_keys(password, Keys.ENTER)
        # the page that answers
        eventually(lambda: self.text("h1") != "Log in" or self.all("[role=alert]"), "an answer to the login")

    def harmless(self, where):
        """No text became an element, and nothing was forbidden by the policy of the page."""
        check(self.run("return document.querySelectorAll('script').length") == 1, where, "a script came in")
        for made in ("svg:not([class]):not([viewBox])", "img", "i", "b", "iframe"):
            check(not self.all(made), where, "has", made)
        check(self.run("return !document.querySelector('[onerror],[onload],[onclick],[style]')"), where)
        try:
            self.driver.switch_to.alert
        except WebDriverException:
            pass
        else:
            raise AssertionError(f"{where}: an alert")
        for line in self.driver.get_log("browser"):
            if line["level"] == "SEVERE" or "Content Security Policy" in line["message"]:
                # a page that is meant to fail
                check(re.search(r"responded with a status of 40[134]", line["message"]), where, line)


# What a screen reader and a keyboard need, of the page as the browser has laid it out.
LOOK = r"""
const wrong = [];
const shown = (one) => one.checkVisibility() && !one.closest('[hidden]');
const say = (one, why) => wrong.push(`${why}: ${one.outerHTML.slice(0, 120)}`);
if (document.querySelectorAll('main').length !== 1) wrong.push('not one main');
if (document.querySelectorAll('h1').length !== 1) wrong.push('not one h1');
if (!document.documentElement.lang || !document.title) wrong.push('no language or title');
let level = 1;
for (const heading of document.querySelectorAll('h1,h2,h3')) {
  const next = Number(heading.tagName[1]);
  if (next > level + 1) say(heading, 'a level is left out');
  level = next;
}
for (const one of document.querySelectorAll('input:not([type=hidden]),select,textarea')) {
  if (shown(one) && !one.labels.length && !one.ariaLabel) say(one, 'no label');
}
for (const one of document.querySelectorAll('a,button,summary')) {
  if (shown(one) && !(one.textContent.trim() || one.ariaLabel)) say(one, 'no name');
}
for (const one of document.querySelectorAll('svg')) {
  if (one.getAttribute('role') !== 'img' && one.getAttribute('aria-hidden') !== 'true') say(one, 'a picture without words');
}
const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
if (new Set(ids).size !== ids.length) wrong.push(`an id twice: ${ids}`);
if (document.documentElement.scrollWidth > innerWidth) {
  const wide = [...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1);
  wrong.push(`wider than the screen: ${wide.slice(-2).map((one) => one.outerHTML.slice(0, 120))}`);
}
const channel = (part) => { part /= 255; return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; };
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const colour = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
const ground = (one) => {
  for (; one; one = one.parentElement) {
    const found = colour(getComputedStyle(one).backgroundColor);
    if (found.length === 3 || found[3] > 0) return found;
  }
  return [255, 255, 255];
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const one = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || !shown(one)) continue;
  const style = getComputedStyle(one);
  const [front, back] = [light(colour(one.closest('svg') ? style.fill : style.color)), light(ground(one))];
  const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
  if (contrast < 4.5) say(one, `contrast ${contrast.toFixed(1)}`);
}
return wrong;
"""


def look(browser, where, axe):
    wrong = browser.run(LOOK)
    check(not wrong, where, wrong)
    if axe:
        browser.run(axe)
        found = browser.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then((found) => done(found.violations.map((one) => "
            "[one.impact, one.id, one.nodes.map((node) => node.html.slice(0, 150))])))")
        serious = [one for one in found if one[0] in ("serious", "critical")]
        check(not serious, where, json.dumps(serious, indent=1))
        return len(found)
    return 0


def strangers(home, browser):
    """Who has no password sees nothing."""
    for path in PAGES:
        browser.go(path)
        check(browser.text("h1") == "Log in", path, browser.text())
    browser.log_in("anna", "a wrong password")
    check("Name or password is wrong." in browser.text(), browser.text())
    browser.log_in(EVIL, EVIL)
    check("Name or password is wrong." in browser.text(), browser.text())
    browser.go("/banned")
    check(browser.text("h1") == "Log in")
    browser.harmless("/login")


def viewers(home, browser):
    """A viewer sees all, is offered no change, and cannot send one."""
    browser.log_in("otto")
    home.fail("192.0.2.7")
    home.fail_app("192.0.2.8", EVIL)
    eventually(lambda: home.banned("192.0.2.7") and "app" in home.ask("banned", "192.0.2.8"), "bans by the logs")
    browser.go("/banned")
    check("192.0.2.7" in browser.text() and "2 bans" in browser.text(), browser.text())
    for path in PAGES:
        browser.go(path)
        check(not browser.all("main a[href*='/change'], main form[action$='/change']"), path)
    browser.go("/change?change=unban&jail=sshd&id=192.0.2.7")
    check(not browser.all("main form"), browser.text())
    sent = browser.driver.execute_async_script("""
        const done = arguments[1];
        const body = new URLSearchParams({ form_token: document.querySelector('[name=form_token]').value,
          change: 'unban', jail: 'sshd', id: '192.0.2.7' });
        fetch(arguments[0], { method: 'POST', body }).then((answer) => done(answer.status));""", SITE + "/change")
    check(sent == 403, "a viewer's order is answered with", sent)
    check(home.banned("192.0.2.7"))
    browser.harmless("as a viewer")
    browser.press("Log out")
    eventually(lambda: browser.text("h1") == "Log in", "the end of a session")


def confirm(browser, button, said):
    eventually(lambda: browser.all("main form button.main"), "the question")
    check(browser.text("main form button.main") == button, browser.text())
    browser.press(button)
    eventually(lambda: browser.run("return location.pathname").split("/")[2] == "address", "an answer")
    check(said in browser.text(), browser.text())


def operators(home, browser):
    """Ban, unban and ignore; each is asked for first, and is done by the server."""
    browser.log_in("anna")
    browser.go("/banned")
    browser.find("input[name=id]").send_keys("192.0.2.99")
    Select(browser.find("form[action$='/change'] select")).select_by_value("sshd")
    browser.press("Ban…")
    check(not home.banned("192.0.2.99"), "banned before anybody said yes")
    confirm(browser, "Ban", "The address is banned.")
    eventually(lambda: home.banned("192.0.2.99"), "the ban")
    browser.go("/banned?q=192.0.2.99")
    browser.press("Lift")
    confirm(browser, "Lift the ban", "The ban is lifted.")
    eventually(lambda: not home.banned("192.0.2.99"), "the end of the ban")
    browser.go("/address/192.0.2.99")
    Select(browser.find("form[action$='/change'] select")).select_by_value("sshd")
    browser.press("Ignore…")
    confirm(browser, "Ignore", "ignores the address until its next reload")
    eventually(lambda: "192.0.2.99" in home.ask("get", "sshd", "ignoreip"), "the list of who is ignored")
    # who leaves it changes nothing
    browser.go("/change?change=unban&jail=sshd&id=192.0.2.7")
    browser.press("Leave it")
    eventually(lambda: browser.text("h1") == "192.0.2.7", "the address")
    check(home.banned("192.0.2.7"))
    # a form of somebody else's page has no token
    sent = browser.driver.execute_async_script("""
        const done = arguments[1];
        const body = new URLSearchParams({ form_token: 'x', change: 'unban', jail: 'sshd', id: '192.0.2.7' });
        fetch(arguments[0], { method: 'POST', body }).then((answer) => done(answer.status));""", SITE + "/change")
    check(sent == 403, "a form without the token is answered with", sent)
    check(home.banned("192.0.2.7"))
    browser.driver.get_log("browser")


def live(home, browser):
    """Events are shown as they happen; what strangers write stays text there, too."""
    browser.go("/live")
    eventually(lambda: "Connected." in browser.text("#state"), "a connection")
    home.fail_app("192.0.2.21", EVIL)
    eventually(lambda: "192.0.2.21" in browser.text("#events") and EVIL in browser.text("#events"), "the event")
    browser.harmless("/live")
    browser.press("Pause")
    home.fail("192.0.2.22")
    eventually(lambda: home.banned("192.0.2.22"), "the ban")
    time.sleep(0.5)
    check("192.0.2.22" not in browser.text("#events"), "a pause that is none")
    browser.press("Pause")
    eventually(lambda: "192.0.2.22" in browser.text("#events"), "the end of the pause")
    browser.find("#failures").click()
    home.fail("192.0.2.23", times=1)
    home.fail("192.0.2.24")
    eventually(lambda: "192.0.2.24" in browser.text("#events"), "a ban")
    check("192.0.2.23" not in browser.text("#events"), "failures that nobody wanted")
    # the overview follows by itself
    browser.go("/")
    before = browser.text(".tiles dd")
    browser.run("window.here = true")
    home.fail("192.0.2.25")
    eventually(lambda: browser.text(".tiles dd") != before, "another number of bans")
    check(browser.run("return window.here"), "it was loaded again")


def search(home, browser):
    browser.go("/banned")
    browser.run("window.here = true")
    field = browser.find("input[type=search]")
    field.send_keys("192.0.2.8")
    eventually(lambda: "1 hit of" in browser.text("#found"), "the search")
    check("192.0.2.7" not in browser.text("#found"))
    field.send_keys(Keys.BACKSPACE * 9, "192.0.2.0/30")
    eventually(lambda: "0 hits of" in browser.text("#found"), "the search for a network")
    check(browser.run("return window.here"), "it was loaded again")
    browser.go("/banned?q=" + EVIL.replace("&", "%26").replace("#", "%23"))
    browser.harmless("/banned?q=")
    # all the same without a script
    browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
    browser.go("/banned")
    browser.find("input[type=search]").send_keys("192.0.2.8", Keys.ENTER)
    eventually(lambda: "1 hit of" in browser.text("#found"), "the search without a script")
    browser.cdp("Emulation.setScriptExecutionDisabled", value=False)


def trials(home, browser):
    """`explain` and `replay` of what is pasted, and the story of an address with its registry's words."""
    browser.go("/explain")
    line = time.strftime("%b %d %H:%M:%S") + " host sshd[1]: Failed password for root from 192.0.2.31 port 22 ssh2"
    browser.find("textarea").send_keys(line)
    Select(browser.find("select")).select_by_value("sshd")
    browser.press("Explain")
    eventually(lambda: "sshd: counts" in browser.text(), "the explanation")
    browser.go("/explain")
    browser.find("textarea").send_keys(f"2026-11-20 10:00:00 app: {EVIL} refused from 192.0.2.31")
    browser.press("Explain")
    eventually(lambda: "does not count" in browser.text(), "the explanation")
    check(EVIL in browser.text("section"), browser.text())
    browser.harmless("/explain")
    browser.go("/replay")
    log = home.directory / "old.log"
    log.write_text(f"2026-11-20 10:00:00 app: {EVIL} denied from 192.0.2.32\n" * 3)
    Select(browser.find("select")).select_by_index(0)
    browser.find("input[type=file]").send_keys(str(log))
    eventually(lambda: browser.run("return document.getElementById('log').value"), "the text of the file")
    browser.press("Replay")
    eventually(lambda: "1 ban" in browser.text("section"), "the replay")
    check("192.0.2.32" in browser.text("section") and EVIL in browser.text("section"), browser.text())
    browser.harmless("/replay")
    check(not home.banned("192.0.2.32"))
    browser.go("/address/192.0.2.8")
    check(EVIL in browser.text() and "Banned." in browser.text(), browser.text())
    browser.press("Ask its registry")
    eventually(lambda: f"netname: {EVIL}" in browser.text("pre"), "the registry")
    browser.harmless("/address")
    browser.go("/jail/app%3Ci%3E%22'")
    check(browser.text("h1") == "app<i>\"'" and str(home.odd) in browser.text(), browser.text())
    check("jail.local:" in browser.text() and "filter.d/app.conf:2" in browser.text(), browser.text())
    browser.harmless("/jail")


def keyboard(browser):
    """All that can be done is reached by Tab, and can be seen to be reached."""
    browser.go("/banned")
    body = browser.find("body")
    body.send_keys(Keys.TAB)
    check(browser.run("return document.activeElement.className") == "skip")
    reached = 0
    wanted = browser.run("return [...document.querySelectorAll('a,button,input,select,summary')]"
                         ".filter((one) => one.type !== 'hidden' && one.checkVisibility()).length")
    for _ in range(wanted - 1):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        style = browser.run("const one = document.activeElement; return one === document.body ? null :"
                            "[getComputedStyle(one).outlineStyle, one.outerHTML.slice(0, 80)]")
        if style is None:
            break
        check(style[0] != "none", "nobody sees that this is reached:", style[1])
        reached += 1
    check(reached >= wanted - 1, "reached", reached, "of", wanted)


def looks(browser, axe, pictures):
    """Each page on a phone and on a desktop, light and dark."""
    minor = 0
    for size in SIZES:
        for dark in (False, True):
            browser.looks(size, dark)
            for path in [*PAGES, "/change?change=unban&jail=sshd&id=192.0.2.7"]:
                browser.go(path)
                minor += look(browser, f"{path} on a {'dark' if dark else 'light'} {size}", axe)
                browser.harmless(path)
    return minor


def crowd(home, browser, number):
    """So many banned addresses: what views and searches cost, of the server and its web process together."""
    addresses = home.directory / "addresses"
    addresses.write_text("".join(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}\n" for n in range(number)))
    home.ask("set", "sshd", "banip", f"@{addresses}")
    eventually(lambda: str(number) in home.ask("status", "sshd", "short"), "the bans")

    def processor():
        """Seconds of all threads that live."""
        spent = 0
        for process in home.processes:
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                spent += int((task / "schedstat").read_text().split()[0])
        return spent / 1e9

    def quiet():
        """The database and the actions are done with the bans."""
        before = processor()
        time.sleep(1)
        return processor() - before < 0.02

    eventually(quiet, "quiet")
    browser.log_in("anna")
    browser.go("/login")
    time.sleep(2)

    def measured(what, act):
        before, began = processor(), time.monotonic()
        act()
        took, cost = time.monotonic() - began, processor() - before
        print(f"{what}: {took * 1000:.0f} ms, of the processor {cost * 1000:.0f} ms", flush=True)
        return cost

    def found(text):
        return lambda: text in browser.text("#found")

    def typed(text):
        field = browser.find("input[type=search]")
        field.send_keys(Keys.BACKSPACE * 20, text)

    first = measured(f"overview with {number} bans", lambda: browser.go("/"))
    check(f"{number:,}" in browser.text(".tiles"), browser.text(".tiles"))
    first = max(first, measured("first view of the list", lambda: browser.go("/banned")))
    check(f"{number:,} bans" in browser.text("#found"), browser.text("#found"))
    measured("next page", lambda: (browser.press("Earlier"), eventually(found("Page 2 of"), "page 2")))
    measured("last page", lambda: (browser.press("Earliest"), eventually(found(f"Page {number // 100} of"), "the last")))
    measured("search for an address, typed", lambda: (typed("10.0.1.17"), eventually(found("10.0.1.17"), "a hit")))
    measured("search for a network, typed", lambda: (typed("10.0.1.0/24"), eventually(found("256 hits"), "hits")))
    for _ in range(3):
        measured("view again", lambda: browser.go("/banned"))
    slowest = browser.driver.execute_async_script("""
        const done = arguments[0];
        let slowest = 0, last = performance.now(), y = 0;
        const step = (now) => { slowest = Math.max(slowest, now - last); last = now; scrollTo(0, y += 60);
          if (y < document.body.scrollHeight) requestAnimationFrame(step); else done(slowest); };
        requestAnimationFrame(step);""")
    print(f"scrolling through a page: the slowest frame {slowest:.0f} ms")
    check(first <= 0.2, "the first view takes", first, "s of the processor")


def pictures(home, browser):
    """The pictures of docs/web.md, of machines and addresses that are none."""
    now, chance = int(time.time()), random.Random(5)
    with sqlite3.connect(home.directory / "db") as database:
        for day in range(1, 30):
            for jail, most in (("sshd", 14), ("postfix", 8)):
                for _ in range(chance.randint(0, most)):
                    when = now - day * 86400 - int(chance.triangular(0, 80000, 20000))
                    database.execute("INSERT INTO bans(jail, ip, timeofban, bantime, bancount, data)"
                                     " VALUES(?, ?, ?, 3600, 1, '{}')",
                                     (jail, f"198.51.100.{chance.randint(1, 60)}", when))
    database.close()
    browser.log_in("anna")
    for number in (3, 7, 9, 12, 40, 41, 52):
        home.fail(f"192.0.2.{number}", user=chance.choice(["root", "admin", "test"]))
    for number in (5, 6, 17):
        home.fail(f"203.0.113.{number}", times=2)
    for number in (8, 30, 31):
        home.fail_app(f"198.51.100.{number}", "somebody")
    eventually(lambda: home.banned("192.0.2.52") and "postfix" in home.ask("banned", "198.51.100.31"), "the bans")

    def all_told():
        browser.go("/")
        return browser.text(".tiles dd") == "10"

    eventually(all_told, "the numbers")
    to = ROOT / "docs/images"
    to.mkdir(exist_ok=True)
    for name, path, size, dark in (("overview", "/", "desktop", False), ("past", "/past", "desktop", True),
                                   ("address", "/address/192.0.2.7", "phone", False),
                                   ("banned", "/banned", "phone", True)):
        browser.looks(size, dark)
        browser.go(path)
        browser.driver.save_screenshot(str(to / f"web-{name}.png"))


def main():
    words = sys.argv[1:]
    axe = (ROOT / "target/axe/package/axe.min.js").read_text() if "axe" in words else None
    begin_network()
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as profile:
        home = Home(directory, plain="pictures" in words)
        browser = None
        try:
            home.start()
            browser = Browser(profile)
            if "pictures" in words:
                pictures(home, browser)
                return
            if "crowd" in words:
                crowd(home, browser, 100_000)
                return
            for step in (strangers, viewers, operators, live, search, trials):
                began = time.monotonic()
                step(home, browser)
                print(f"{step.__name__}: {time.monotonic() - began:.1f} s", flush=True)
            keyboard(browser)
            minor = looks(browser, axe, None)
            said = f"axe-core has {minor} findings, none serious" if axe else "by our own checks"
            print(f"{len(PAGES) + 1} pages, phone and desktop, light and dark: {said}")
            browser.press("Log out")
            eventually(lambda: browser.text("h1") == "Log in", "the end of a session")
            for size in SIZES:
                browser.looks(size, False)
                look(browser, "/login", axe)
        except Exception:
            print((home.directory / "web.log").read_text(), file=sys.stderr)
            raise
        finally:
            if browser:
                browser.driver.quit()
            home.stop()


if __name__ == "__main__":
    main()
