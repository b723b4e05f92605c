# SPDX-License-Identifier: Apache-2.0
"""Debian's PostgreSQL for tests: with Postgres() as db: db.sql("…"); db.hosts() goes into a .cf file."""

import pathlib
import shutil

from dbserver import DATABASE, MAIL_PASSWORD, MAIL_USER, DatabaseServer

BIN = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), default=pathlib.Path("/nonexistent"))


def available():
    return (BIN / "postgres").exists() and shutil.which("psql")


class Postgres(DatabaseServer):
    name, type, admin = "postgres", "pgsql", "admin"

    def __init__(self, settings=None, tls=False):
        super().__init__(tls)
        self.settings = dict(settings or {})
        if self.ca:
            self.settings.update({"ssl": "on", "ssl_cert_file": self.folder / "cert.pem", "ssl_key_file": self.folder / "key.pem"})
        self.command(BIN / "initdb", "-D", self.data, "-U", "admin", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        (self.data / "pg_hba.conf").write_text("local all admin trust\nlocal all all scram-sha-256\n"
                                               "host all all 127.0.0.1/32 scram-sha-256\n")

    def argv(self):
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder, "fsync": "off",
                    "max_connections": 200, "log_statement": "all", "log_min_duration_statement": "-1", **self.settings}
        return [BIN / "postgres", "-D", self.data, *(f"--{k}={v}" for k, v in settings.items())]

    def socket(self):
        return f"{self.folder}/.s.PGSQL.{self.port}"

    def hosts(self):
        return f"unix:{self.socket()}"

    def sql(self, text, database=DATABASE):
        return self.command("psql", "-h", self.folder, "-p", self.port, "-U", "admin", "-d", database or "postgres", "-q", "-A", "-t", "-X",
                            "-v", "ON_ERROR_STOP=1", "-f", "-", input=text)

    def make_database(self):
        """An empty database that the mail user may read."""
        self.sql(f"CREATE ROLE {MAIL_USER} LOGIN PASSWORD '{MAIL_PASSWORD}'", None)
        self.sql(f"CREATE DATABASE {DATABASE}", None)
        self.sql(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {MAIL_USER}")
        return self

    def queries(self):
        """What was asked, as its log has it."""
        return self.log()
