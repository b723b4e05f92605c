-- SPDX-License-Identifier: Apache-2.0
-- Run by an administrator in the database `mail`.
CREATE TABLE domains (
  name VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL PRIMARY KEY,
  active BOOLEAN NOT NULL DEFAULT TRUE
);
CREATE TABLE mailboxes (
  address VARCHAR(320) CHARACTER SET utf8mb4 NOT NULL PRIMARY KEY,
  domain VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL,
  maildir VARCHAR(600) CHARACTER SET utf8mb4 NOT NULL,
  active BOOLEAN NOT NULL DEFAULT TRUE,
  FOREIGN KEY (domain) REFERENCES domains (name)
);
CREATE TABLE aliases (
  address VARCHAR(320) CHARACTER SET utf8mb4 NOT NULL,
  target VARCHAR(320) CHARACTER SET utf8mb4 NOT NULL,
  active BOOLEAN NOT NULL DEFAULT TRUE,
  PRIMARY KEY (address, target)
);
GRANT SELECT ON domains TO mailreader;
GRANT SELECT ON mailboxes TO mailreader;
GRANT SELECT ON aliases TO mailreader;

INSERT INTO domains (name) VALUES ('example.com'), ('example.org');
INSERT INTO mailboxes (address, domain, maildir) VALUES
  ('info@example.com', 'example.com', 'example.com/info/'),
  ('sales@example.com', 'example.com', 'example.com/sales/');
INSERT INTO aliases (address, target) VALUES
  ('everybody@example.com', 'info@example.com'),
  ('everybody@example.com', 'sales@example.com'),
  ('@example.org', 'info@example.com');
