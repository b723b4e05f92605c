# SPDX-License-Identifier: Apache-2.0
"""postconf: byte for byte what Debian's prints for the same files, in the manner of set-ups that people run; and what is Ostler's own."""

import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess

import pytest
from instance import PREFIX

ORACLE = "/usr/sbin/postconf"
OURS = str(PREFIX / "sbin/postconf")
SAMPLES = pathlib.Path(__file__).with_name("postconf")
DIST = pathlib.Path("/usr/share/postfix")
NAMES = ["debian"] + sorted(p.name for p in SAMPLES.iterdir())

# Names whose default is another by intent, or that are Ostler's own (docs/differences.md).
INTENDED = re.compile(
    r"ostler_\w+|smtpd_session_limit|alias_maps|biff|mail_name|mail_version|mail_release_date|process_id|process_name|"
    r"smtpd_forbid_bare_newline|smtpd_forbid_unauth_pipelining|config_directory"
)

# Other names use these, so that they have the same value here.
SAME = "mail_name = Some Mailer\nmail_version = 0\n"


def run(program, folder, *options):
    r = subprocess.run([program, "-c", str(folder), *options], text=True, capture_output=True, env={"PATH": "/usr/bin", "LC_ALL": "C"},
                       stdin=subprocess.DEVNULL)
    return r.returncode, r.stdout, r.stderr


def side_by_side(what, items):
    """what(item) for each, many at a time: Postfix's programs sleep for a second before they give up."""
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        return list(zip(items, pool.map(what, items)))


def oracle_version():
    try:
        return run(ORACLE, "/etc/postfix", "-hd", "mail_version")[1]
    except OSError:
        return ""


needs_oracle = pytest.mark.skipif(not oracle_version().startswith("3.7."), reason="no Postfix 3.7 to compare with")


def builtin(program):
    return set(run(program, "/etc/postfix", "-d", "-H", "-C", "builtin")[1].split())


@pytest.fixture(scope="module")
def later():
    """Parameters of releases after the one to compare with."""
    return builtin(OURS) - builtin(ORACLE)


@pytest.fixture
def sample(tmp_path):
    def make(name, where="x"):
        folder = tmp_path / where
        shutil.rmtree(folder, ignore_errors=True)
        if name != "debian":
            shutil.copytree(SAMPLES / name, folder)
        else:
            folder.mkdir(parents=True)
            (folder / "main.cf").write_text((DIST / "main.cf.debian").read_text() + (DIST / "main.cf.tls").read_text())
            shutil.copy(DIST / "master.cf.dist", folder / "master.cf")
        main = (folder / "main.cf").read_text()
        with (folder / "main.cf").open("a") as f:
            f.write(SAME)
            if not re.search(r"(?m)^alias_maps\b", main):
                f.write("alias_maps = hash:/etc/aliases\n")
        return folder

    return make


def filtered(text, later):
    """Without the parameters that differ by intent, continuation lines included."""
    out, skip = [], False
    for line in text.splitlines():
        if not line.startswith("    "):
            name = line.split(" =")[0]
            skip = bool(INTENDED.fullmatch(name)) or name in later
        if not skip:
            out.append(line)
    return out


def complaints(text, program):
    """What was said, each once, without the program's path; Postfix says some things several times, and in the order of a hash."""
    lines = sorted({line.replace(f"{program}: ", "postconf: ") for line in text.splitlines()})
    return [line for line in lines if not line.startswith("postconf: fatal: usage:") and " overriding earlier entry: " not in line]


def overridings(text):
    return {line.split(": ", 1)[1] for line in text.splitlines() if " overriding earlier entry: " in line}


SHOW = [
    [], ["-n"], ["-nx"], ["-x"], ["-nf"], ["-f"], ["-Hn"], ["-hn"], ["-d"], ["-dH"], ["-p", "-n"], ["-n", "-C", "user"], ["-C", "user"],
    ["-C", "service"], ["-C", "builtin"], ["-n", "-C", "all"], ["-d", "-C", "service"], ["-C", "user,service"], ["-C", "bogus"],
    ["myhostname", "mydestination", "smtpd_relay_restrictions", "nosuch_name", "relay_destination_rate_delay"],
    ["-h", "myhostname", "smtpd_timeout", "nosuch_name"], ["-d", "smtpd_banner", "nosuch_name", "used_a"],
    ["-x", "smtpd_timeout", "smtp_helo_name", "default_transport", "virtual_mailbox_maps", "smtpd_sender_restrictions"],
    ["-n", "-o", "myhostname=other.example.com", "-o", "used_b=y"], ["-x", "-o", "myhostname=o.example.com", "myorigin"], ["-o", "x", "-n"],
    ["-M"], ["-Mf"], ["-Mx"], ["-M", "smtp/inet"], ["-M", "smtp"], ["-M", "*/unix"], ["-M", "nosuch", "smtp/inet"], ["-Mf", "submission"],
    ["-F"], ["-Ff"], ["-Fx"], ["-hF"], ["-HF"], ["-F", "smtp/inet"], ["-F", "*/*/command"], ["-F", "smtp/unix/chroot", "*/inet/wakeup"],
    ["-F", "smtp/inet/nosuch"], ["-P"], ["-xP"], ["-hP"], ["-HP"], ["-fP"], ["-P", "submission/inet"], ["-P", "smtps"],
    ["-P", "*/inet/smtpd_client_restrictions"], ["-P", "nosuch/inet/x"], ["-l"], ["-z"],
]  # fmt: skip


@needs_oracle
@pytest.mark.parametrize("name", NAMES)
def test_shows_what_postfix_shows(name, sample, later):
    folder = sample(name)
    for options, (wanted, got) in side_by_side(lambda o: [run(p, folder, *o) for p in (ORACLE, OURS)], SHOW):
        if "-hF" in options:  # Postfix puts no space between a command and its first word here
            wanted, got = ((r[0], r[1].replace(" ", ""), r[2]) for r in (wanted, got))
        assert filtered(got[1], later) == filtered(wanted[1], later), options
        # Postfix reads the file again and again, and finds each time that it overrides what was read before.
        assert overridings(got[2]) <= overridings(wanted[2]), options
        assert complaints(got[2], OURS) == complaints(wanted[2], ORACLE), options
        assert got[0] == wanted[0], options


EDITS = [
    ["-e", "relayhost = [x]", "mail_name=a  b"], ["relayhost=y"], ["-e", "a=1", "a=2"], ["-e", "nosuch"],
    ["-e", "a b=1"], ["-e", "#a=1"], ["-e", "a=x\ny"], ["-e", "=4"], ["-e"], ["-X"], ["-X", "relayhost", "used_a", "nosuch"], ["-X", "a=b"],
    ["-#", "relayhost", "mynetworks", "smtpd_recipient_restrictions"], ["-#", "a=b"], ["-ne", "a=5"], ["-nX", "a"], ["-eX", "a"], ["-de", "a=b"],
    ["-fe", "a=3"], ["-M", "-m"], ["-e", "relayhost="], ["-X", "smtpd_recipient_restrictions", "mydestination"],
    ["-Me", "smtp/inet=smtp inet n - n - 5 smtpd -o a=b"], ["-M", "new/unix=new unix - - n - - pipe flags=R user=nobody argv=/bin/cat"],
    ["-M#", "submission/inet"], ["-MX", "smtp/inet", "smtp/unix"], ["-MX", "nosuch/inet"], ["-M#", "smtp"], ["-M", "smtp=x"],
    ["-Me", "a/inet=x"], ["-Me", "a/inet=a inet q - - - - smtpd"], ["-Me", "smtp/*=smtp inet n - - - - smtpd"], ["-MX", "*/inet"],
    ["-M", "a/inet=a inet n - - - - smtpd -o {a = b c}"], ["-M", "a/inet=\nb"], ["-M#"], ["-Me"],
    ["-Fe", "smtp/inet/chroot=y"], ["-F", "pickup/unix/command=pickup -v"], ["-F", "*/inet/chroot=y"], ["-F", "*/*/chroot=n"],
    ["-F", "smtp/unix/nosuch=1"], ["-F", "nosuch/unix/chroot=1"], ["-Fe", "smtp/inet/chroot=q"], ["-Fe", "smtp/inet/wakeup=5?"],
    ["-Fe", "smtp/inet/wakeup=zz"], ["-Fe", "smtp/inet/type=unix"], ["-Fe", "smtp/inet/service=a b"], ["-F", "smtp/inet=5"],
    ["-FX", "smtp/inet/chroot"], ["-Fe", "smtp/inet/process_limit=7", "smtp/unix/chroot=n"],
    ["-Pe", "submission/inet/zork=2 3"], ["-P", "smtp/inet/newone=2"], ["-P", "*/*/x=y"], ["-PX", "submission/inet/syslog_name"],
    ["-PX", "*/inet/syslog_name", "*/inet/smtpd_banner"], ["-PX", "smtp/inet/nosuch"], ["-P#", "smtp/inet/zork"], ["-P", "smtp/inet=5"],
    ["-Pe", "smtp/inet/a=1", "smtp/inet/b=2", "smtp/inet/a=3"], ["-P", "smtp/inet/a="], ["-P", "nosuch/inet/a=1"], ["-PX", "smtp/inet"],
    ["-Pe", "submission/inet/syslog_name=other", "slow/unix/syslog_name=one"],
]  # fmt: skip


@needs_oracle
@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("broken")])
def test_edits_as_postfix_does(name, sample):
    def edited(number):
        results = []
        for program in (ORACLE, OURS):
            folder = sample(name, f"{number}/edited")
            code, out, err = run(program, folder, *EDITS[number])
            err = err.replace(str(folder), "FOLDER")
            results.append((code, out, complaints(err, program), *((folder / f).read_text() for f in ("main.cf", "master.cf"))))
        return results
    for number, (wanted, got) in side_by_side(edited, range(len(EDITS))):
        assert got == wanted, EDITS[number]


@needs_oracle
def test_options_that_do_not_go_together(sample):
    folder = sample("postfixadmin")
    pairs = [f"-{a}{b}" for a, b in itertools.permutations("aAbdefFhHlmMnpPtxX#", 2)]
    for pair, (wanted, got) in side_by_side(lambda o: [run(p, folder, o)[2] for p in (ORACLE, OURS)], pairs):
        said = [re.findall(r"fatal: (.*specify .*)", text) for text in (wanted, got)]
        assert said[1] == said[0], pair


TEMPLATES = [
    "", "failure_template = <<EOF\nCharset: utf-8\nSubject: Bad $myhostname\n\nT $maximal_queue_lifetime_days\nEOF\n",
    "# c\ndelay_template = <<X\nSubject: a\n b\nFrom: c\n\n\nbody\nX\n\nsuccess_template= <<Y\nSubject:b\nline\nY\n",
    "zork_template = <<EOF\nSubject: a\n\nb\nEOF\n", "failure_template = <<EOF\nSubject: a\n\nb\n", "failure_template = abc\n",
    "delay_template = <<EOF\nFoo: b\n\nb\nEOF\n", "failure_template = <<EOF\nSubject: a\nEOF\n",
    "delay_template = <<EOF\nSubject: a\n\n\u00e4\nEOF\n", "delay_template = <<EOF\nCharset: utf-8\n\n\u00e4\nEOF\n",
]  # fmt: skip


@needs_oracle
@pytest.mark.parametrize("text", TEMPLATES)
def test_bounce_templates(text, sample):
    folder = sample("postfixadmin")
    (folder / "templates").write_text(text)
    with (folder / "main.cf").open("a") as f:
        f.write("delay_warning_time = 4h\n")
    for options in (["-t"], ["-b"], ["-t", str(folder / "templates")], ["-b", str(folder / "templates")]):
        wanted, got = (run(p, folder, *options) for p in (ORACLE, OURS))
        assert got[1] == wanted[1], options
        # What Postfix says, its bounce(8) says.
        said = [sorted({line.split(": ", 1)[1] for line in r[2].splitlines()}) for r in (wanted, got)]
        assert said[1] == said[0], options


# ---- what is Ostler's own ----


def own_folder(tmp_path, main, master="smtp inet n - n - - smtpd\n", **fragments):
    folder = tmp_path / "own"
    folder.mkdir(exist_ok=True)
    (folder / "main.cf").write_text(main)
    (folder / "master.cf").write_text(master)
    (folder / "modules.cf").write_text((PREFIX / "etc/ostler/modules.cf").read_text())
    for name, text in fragments.items():
        path = folder / name.replace("__", "/").replace("_d", ".d").replace("main", "main.cf").replace("master", "master.cf")
        path = path.with_suffix(".cf")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def test_fragments(tmp_path):
    folder = own_folder(tmp_path, "myhostname = a.example.org\nmyorigin = one\n", main_d__10="myhostname = b.example.org\nused = 1\n",
                        main_d__20="# last\nmyhostname = c.example.org\n  \nsmtpd_banner = $myhostname ${used}\n",
                        master_d__10="extra unix - - n - - smtp\n  -o smtp_helo_name=x\n")  # fmt: skip
    assert run(OURS, folder, "--origin", "myhostname", "myorigin", "smtpd_timeout", "used")[1].splitlines() == [
        "main.cf.d/20.cf: line 2: myhostname = c.example.org", "main.cf: line 2: myorigin = one",
        "default: smtpd_timeout = ${stress?{10}:{300}}s", "main.cf.d/10.cf: line 2: used = 1"]  # fmt: skip
    assert run(OURS, folder, "--origin", "-P")[1] == "master.cf.d/10.cf: line 1: extra/unix/smtp_helo_name = x\n"
    # -e changes the file that has the last word; what is new goes to main.cf.
    assert run(OURS, folder, "-e", "myhostname=d.example.org", "myorigin=two", "inet_protocols=ipv4")[0] == 0
    assert (folder / "main.cf").read_text() == "myhostname = a.example.org\nmyorigin = two\ninet_protocols = ipv4\n"
    assert (folder / "main.cf.d/10.cf").read_text() == "myhostname = b.example.org\nused = 1\n"
    assert "myhostname = d.example.org\n" in (folder / "main.cf.d/20.cf").read_text()
    # -X and -# change all.
    assert run(OURS, folder, "-X", "myhostname")[0] == 0
    assert not any("myhostname =" in p.read_text() for p in [folder / "main.cf", *(folder / "main.cf.d").iterdir()])
    assert run(OURS, folder, "-Fe", "extra/unix/chroot=y", "smtp/inet/process_limit=3")[0] == 0
    assert "extra      unix  -       -       y" in (folder / "master.cf.d/10.cf").read_text()
    assert run(OURS, folder, "-hF", "smtp/inet/process_limit")[1] == "3\n"
    assert run(OURS, folder, "-MX", "extra/unix")[0] == 0 and (folder / "master.cf.d/10.cf").read_text() == ""


def ostler(folder, *words):
    return subprocess.run([str(PREFIX / "sbin/ostler"), "-c", str(folder), *words], text=True, capture_output=True)


def test_check_names_the_fragment(tmp_path):
    folder = own_folder(tmp_path, "", main_d__5="\nsmtpd_timeout = x\nheader_checks = pcre:/x\nmax_use = 7\nalways_bcc = a@b\n",
                        master_d__5="bad unix - - z - - smtp\n")  # fmt: skip
    r = ostler(folder, "check")
    said = r.stdout + r.stderr
    assert r.returncode != 0
    assert "main.cf.d/5.cf: line 2: smtpd_timeout: bad time value" in said
    assert re.search(r"error.*main.cf.d/5.cf: line 3: header_checks: not yet supported: security is weakened", said)
    assert re.search(r"warning.*main.cf.d/5.cf: line 4: max_use: has no effect here because a process serves", said)
    assert re.search(r"warning.*main.cf.d/5.cf: line 5: always_bcc: not yet supported", said)
    assert 'master.cf.d/5.cf: line 1: field "chroot": bad value' in said


def test_warnings_say_the_line(tmp_path):
    folder = own_folder(tmp_path, "# c\nmy_unused = 1\nsmtpd_banner = $no_such\n", "smtp inet n - n - - smtpd -o also_unused=2\n")
    plain, lines = run(OURS, folder, "-n")[2], run(OURS, folder, "--origin", "-n")[2]
    assert f"{folder}/main.cf: unused parameter: my_unused=1" in plain and f"{folder}/main.cf: undefined parameter: no_such" in plain
    assert "main.cf: line 2: unused parameter: my_unused=1" in lines and "main.cf: line 3: undefined parameter: no_such" in lines
    assert "master.cf: line 1: -o: unused parameter: also_unused=2" in lines
    assert run(OURS, folder, "-nq")[2] == ""


def test_json(tmp_path):
    folder = own_folder(tmp_path, 'myhostname = h.example.org\nmydomain = "quoted" \\ back\n', "a inet n - n - 5 smtpd -v -o x=y=z rest\n")
    values = {p["name"]: p for p in json.loads(run(OURS, folder, "-j")[1])}
    assert values["mydomain"] == {"name": "mydomain", "value": '"quoted" \\ back', "origin": "main.cf: line 2"}
    assert values["smtpd_timeout"]["origin"] == "default"
    assert [p["name"] for p in json.loads(run(OURS, folder, "--json", "-n", "-C", "builtin")[1])] == ["config_directory", "mydomain", "myhostname"]
    (entry,) = json.loads(run(OURS, folder, "-jM")[1])
    assert entry["service"] == "a" and entry["process_limit"] == "5" and entry["options"] == {"x": "y=z"}
    assert entry["arguments"] == ["-v", "rest"] and entry["origin"] == "master.cf: line 1"
    assert json.loads(run(OURS, folder, "-jP")[1]) == [
        {"service": "a", "type": "inet", "name": "x", "value": "y=z", "origin": "master.cf: line 1"}]  # fmt: skip
    assert json.loads(run(OURS, folder, "-jl")[1]) == ["flock", "fcntl", "dotlock"]


def test_table_types_are_the_loadable_ones(tmp_path):
    folder = own_folder(tmp_path, "mail_owner = nobody\n")
    with (folder / "modules.cf").open("a") as f:
        f.write("table nosuch nosuch.so\n")
    os.chmod(tmp_path, 0o755)
    for p in tmp_path.parents:
        if p.stat().st_mode & 0o005 != 0o005 and p.stat().st_uid == os.getuid():
            os.chmod(p, 0o755)
    code, out, err = run(OURS, folder, "-m")
    assert code == 0 and {"proxy", "hash", "texthash", "static", "cidr"} <= set(out.split()) and "nosuch" not in out
    assert re.search(r"modules.cf: line \d+: table nosuch is left out: ", err)


def test_edit_keeps_owner_mode_and_links(tmp_path):
    folder = own_folder(tmp_path, "a = 1\n")
    real = tmp_path / "real.cf"
    (folder / "main.cf").rename(real)
    (folder / "main.cf").symlink_to(real)
    os.chmod(real, 0o640)
    if os.geteuid() == 0:
        os.chown(real, 1, 2)
    before = real.stat()
    assert run(OURS, folder, "-e", "relayhost=x")[0] == 0
    after = real.stat()
    assert (folder / "main.cf").is_symlink() and real.read_text() == "a = 1\nrelayhost = x\n"
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (0o640, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino and not list(tmp_path.glob("*.tmp"))


def test_killed_edits_leave_a_whole_file(tmp_path):
    """Many editors at a time, each of them killed at some point: the file is always whole, and nobody's finished edit is lost."""
    lines = "".join(f"name{i} = {'x' * 80}\n" for i in range(2000))
    folder = own_folder(tmp_path, lines + "relayhost = 0\n")
    for i in range(40):
        p = subprocess.Popen([OURS, "-c", str(folder), "-e", f"relayhost={i}", f"other{i}=1"], stderr=subprocess.DEVNULL)
        try:
            p.wait(timeout=i * 0.0015)
        except subprocess.TimeoutExpired:
            p.kill()
        p.wait()
        text = (folder / "main.cf").read_text()
        assert text.startswith(lines) and text.endswith("\n") and "relayhost = " in text
    editors = [subprocess.Popen([OURS, "-c", str(folder), "-e", f"parallel{i}=1"]) for i in range(12)]
    assert [p.wait() for p in editors] == [0] * 12
    text = (folder / "main.cf").read_text()
    assert all(f"\nparallel{i} = 1\n" in text for i in range(12))


def test_explain(tmp_path):
    folder = own_folder(tmp_path, "mail_owner = nobody\nmessage_size_limit = 5000000\nmine = $myhostname\nsmtpd_banner = $myhostname $mine\n",
                        "smtp inet n - n - - smtpd -o smtpd_timeout=7s\nrelay unix - - n - - smtp\n")  # fmt: skip
    for p in [tmp_path, *tmp_path.parents]:
        if p.stat().st_mode & 0o005 != 0o005 and p.stat().st_uid == os.getuid():
            os.chmod(p, 0o755)
    text = ostler(folder, "explain", "message_size_limit", "smtpd_timeout", "max_use", "relay_destination_rate_delay", "mine").stdout
    for words in ("value:    5000000", "set in:   main.cf: line 2", "default:  10240000", "type:     bytes", "of:       the core",
                  "master.cf: line 1: -o for smtp/inet: 7s", "type:     time, at least 1 s", "read by:  smtpd",
                  "state:    has no effect here: a process serves", "for the service relay", "the administrator: other settings use it"):
        assert words in text  # fmt: skip
    r = ostler(folder, "explain", "mesage_size_limit")
    assert r.returncode != 0 and "did you mean message_size_limit?" in r.stderr
