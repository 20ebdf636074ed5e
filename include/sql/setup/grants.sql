-- Lets the role movies_etl read the catalogue, and nothing else. Run by a superuser in the
-- catalogue's database, once, with psql -f, after CREATE ROLE movies_etl LOGIN and
-- \password movies_etl, which keeps the password out of every history. It may run again.
GRANT USAGE ON SCHEMA content TO movies_etl;
GRANT SELECT ON content.film_work TO movies_etl;
GRANT SELECT ON content.genre TO movies_etl;
GRANT SELECT ON content.person TO movies_etl;
GRANT SELECT ON content.genre_film_work TO movies_etl;
GRANT SELECT ON content.person_film_work TO movies_etl;
-- To see when the transactions of others began. Without it nothing is lost, but one that
-- stays open holds the cursors back without being named.
GRANT pg_read_all_stats TO movies_etl;
