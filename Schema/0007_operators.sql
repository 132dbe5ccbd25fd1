-- What operators say: of alerts, and of lines that were refused.

-- Who may acknowledge and silence alerts.
alter table post add column operates boolean not null default false;

-- The container's number that somebody says a refused line is about.
alter table quarantine add column replay_as text;
