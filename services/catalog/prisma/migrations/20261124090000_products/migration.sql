CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- A word of the search that is a little wrong still finds: "sneeker" is 0.5 like "sneaker". 0.6 is the default.
-- Who may not alter the database sets it elsewhere.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET pg_trgm.word_similarity_threshold = 0.45', current_database());
EXCEPTION
    WHEN insufficient_privilege THEN RAISE NOTICE 'pg_trgm.word_similarity_threshold stays as it is';
END
$$;

CREATE TYPE "product_source" AS ENUM ('seller', 'sale');

-- Keys are compared byte by byte (collation C): the order of list pages is the same on every server.
CREATE TABLE "products" (
    "id" TEXT COLLATE "C" NOT NULL,
    "title" TEXT NOT NULL,
    "description" TEXT NOT NULL,
    "price_minor" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,
    "source" "product_source" NOT NULL,
    "added_in" BIGINT NOT NULL,
    "changed_in" BIGINT NOT NULL,
    "words" TSVECTOR GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', "title"), 'A') || setweight(to_tsvector('simple', "description"), 'B')
    ) STORED,

    CONSTRAINT "products_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "price_not_below_zero" CHECK ("price_minor" >= 0)
);

CREATE INDEX "products_added_in_id_idx" ON "products" ("added_in", "id");
CREATE INDEX "products_words_idx" ON "products" USING GIN ("words");
CREATE INDEX "products_title_trgm_idx" ON "products" USING GIN ("title" gin_trgm_ops);

CREATE TABLE "catalog_state" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "version" BIGINT NOT NULL,
    "total" BIGINT NOT NULL,

    CONSTRAINT "catalog_state_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "one_row" CHECK ("id" = 1)
);
INSERT INTO "catalog_state" ("version", "total") VALUES (0, 0);
