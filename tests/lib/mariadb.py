# SPDX-License-Identifier: Apache-2.0
"""Debian's MariaDB for tests: with MariaDB() as db: db.sql("…"); db.hosts() goes into a .cf file."""

import os
import pwd
import shutil
import signal

from dbserver import DATABASE, MAIL_PASSWORD, MAIL_USER, DatabaseServer


def available():
    return bool(shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin") and shutil.which("mariadb-install-db"))


class MariaDB(DatabaseServer):
    name, type = "mariadb", "mysql"

    def __init__(self, settings=None, tls=False):
        super().__init__(tls)
        self.settings = dict(settings or {})
        if self.ca:
            self.settings.update({"ssl-ca": self.ca, "ssl-cert": self.folder / "cert.pem", "ssl-key": self.folder / "key.pem"})
        self.admin = self.user
        self.command("mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--skip-test-db",
                     "--auth-root-authentication-method=socket", f"--auth-root-socket-user={self.admin}")

    def argv(self):
        settings = {"datadir": self.data, "socket": self.socket(), "port": self.port, "bind-address": "127.0.0.1",
                    "pid-file": self.folder / "pid", "innodb-flush-log-at-trx-commit": 2, "skip-name-resolve": 1, "general-log": 1,
                    "general-log-file": self.folder / "queries", "max-connections": 200, **self.settings}
        return ["/usr/sbin/mariadbd", "--no-defaults", *(f"--{k}={v}" for k, v in settings.items())]

    def stop(self):
        self.end(signal.SIGTERM)

    def socket(self):
        return f"{self.folder}/socket"

    def hosts(self):
        return f"unix:{self.socket()}"

    def sql(self, text, database=DATABASE):
        account = self.admin if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        return self.command("mariadb", "--no-defaults", f"--socket={self.socket()}", f"--user={account}", "-N", "-B",
                            "--default-character-set=utf8mb4", *([database] if database else []), input=text)

    def make_database(self):
        """An empty database that the mail user may read."""
        self.sql(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4; CREATE USER {MAIL_USER} IDENTIFIED BY '{MAIL_PASSWORD}'; "
                 f"GRANT SELECT, EXECUTE ON {DATABASE}.* TO {MAIL_USER}", None)
        return self

    def queries(self):
        """What was asked, as its log has it."""
        path = self.folder / "queries"
        return path.read_text(errors="replace") if path.exists() else ""
