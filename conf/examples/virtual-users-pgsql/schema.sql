-- SPDX-License-Identifier: Apache-2.0
-- Run by an administrator in the database `mail`.
CREATE TABLE domains (
  name text PRIMARY KEY CHECK (name = lower(name)),
  active boolean NOT NULL DEFAULT true
);
CREATE TABLE mailboxes (
  address text PRIMARY KEY CHECK (address = lower(address)),
  domain text NOT NULL REFERENCES domains (name),
  maildir text NOT NULL,
  active boolean NOT NULL DEFAULT true
);
CREATE TABLE aliases (
  address text NOT NULL CHECK (address = lower(address)),
  target text NOT NULL,
  active boolean NOT NULL DEFAULT true,
  PRIMARY KEY (address, target)
);
GRANT SELECT ON domains, mailboxes, aliases TO mailreader;

INSERT INTO domains VALUES ('example.com'), ('example.org');
INSERT INTO mailboxes VALUES
  ('info@example.com', 'example.com', 'example.com/info/'),
  ('sales@example.com', 'example.com', 'example.com/sales/');
INSERT INTO aliases VALUES
  ('everybody@example.com', 'info@example.com'),
  ('everybody@example.com', 'sales@example.com'),
  ('@example.org', 'info@example.com');
