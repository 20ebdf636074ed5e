-- The indexes that the sync reads by. Made once, by the owner of the tables, while the
-- site runs: psql -f, not in a transaction. On a partitioned table PostgreSQL refuses
-- CONCURRENTLY: leave the word out, and nobody writes to the table meanwhile. init warns
-- of each index that is missing, with the statement that fits the table.
CREATE INDEX CONCURRENTLY IF NOT EXISTS film_work_modified_id ON content.film_work (modified, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS genre_modified_id ON content.genre (modified, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS person_modified_id ON content.person (modified, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS genre_film_work_created_id ON content.genre_film_work (created, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS person_film_work_created_id ON content.person_film_work (created, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS genre_film_work_film_genre
    ON content.genre_film_work (film_work_id, genre_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS genre_film_work_genre_film
    ON content.genre_film_work (genre_id, film_work_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS person_film_work_film_person
    ON content.person_film_work (film_work_id, person_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS person_film_work_person_film
    ON content.person_film_work (person_id, film_work_id);
