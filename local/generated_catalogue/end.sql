-- What begin.sql took away for speed, and what it needed only for itself.
ALTER TABLE content.genre_film_work ADD PRIMARY KEY (id);
ALTER TABLE content.genre_film_work ADD UNIQUE (film_work_id, genre_id);
ALTER TABLE content.person_film_work ADD PRIMARY KEY (id);
ALTER TABLE content.person_film_work ADD UNIQUE (film_work_id, person_id, role);
DROP TABLE word, sentence;
