-- Who may acknowledge and silence alerts.

alter table post add column operates boolean not null default false;
