-- A tenant's answers to frequent questions, as imported. Whoever searches has the words already cleaned (db/faq.py).

-- name: forget
DELETE FROM faq WHERE tenant = %(tenant)s

-- name: add
-- Of a question that comes twice the last answer counts. The ids rise in the order of the file.
INSERT INTO faq (tenant, question, answer)
SELECT %(tenant)s, e.question, e.answer
  FROM (SELECT DISTINCT ON (e.question) e.*
          FROM unnest(%(questions)s::text[], %(answers)s::text[]) WITH ORDINALITY AS e(question, answer, ord)
         ORDER BY e.question, e.ord DESC) e
 ORDER BY e.ord

-- name: has
SELECT EXISTS (SELECT FROM faq WHERE tenant = %(tenant)s) AS has

-- name: search
-- Entries with any of the words, most of them first; a word of the question weighs ten times one of the answer.
SELECT f.question, f.answer
  FROM faq f, to_tsquery('simple', %(query)s) AS asked
 WHERE f.tenant = %(tenant)s AND to_tsvector('simple', f.question || ' ' || f.answer) @@ asked
 ORDER BY ts_rank('{0, 0, 0.1, 1}', setweight(to_tsvector('simple', f.question), 'A')
                  || setweight(to_tsvector('simple', f.answer), 'B'), asked) DESC, f.id
 LIMIT %(most)s

-- name: first
SELECT question, answer FROM faq WHERE tenant = %(tenant)s ORDER BY id LIMIT %(most)s
