-- PostGIS, whose extensions have tables of which a dump holds the rows that were added.
CREATE TABLE note (t text);
-- Only a superuser:
CREATE EXTENSION postgis;
CREATE EXTENSION fuzzystrmatch;
CREATE EXTENSION postgis_topology;
ALTER DATABASE app SET search_path = "$user", public, topology;
SET search_path = public, topology;
INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text) VALUES (990001, 'own', 1, 'LOCAL_CS["own"]', '+proj=longlat +datum=WGS84 +no_defs');
CREATE TABLE places (id int PRIMARY KEY, at geometry(PointZM, 4326), area geography(MultiPolygon), own geometry(Geometry, 990001), box box3d, CHECK (ST_IsValid(at)));
INSERT INTO places VALUES (1, 'SRID=4326;POINT ZM (1 2 3 4)', 'MULTIPOLYGON(((0 0,1 0,1 1,0 0)))', 'SRID=990001;GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1e-9 1e300))', 'BOX3D(0 0 0,1 1 1)'), (2, 'SRID=4326;POINT ZM EMPTY', NULL, NULL, NULL);
CREATE INDEX ON places USING gist (at gist_geometry_ops_nd);
CREATE INDEX ON places USING gist (area);
CREATE INDEX ON places USING brin (own);
CREATE INDEX ON places (ST_GeoHash(ST_Force2D(at)));
ALTER TABLE places ADD far geometry GENERATED ALWAYS AS (ST_Translate(own, 1, 1)) STORED;
CREATE MATERIALIZED VIEW hulls AS SELECT ST_ConvexHull(own) AS hull FROM places;
CREATE VIEW of_columns AS SELECT * FROM geometry_columns;
SELECT topology.CreateTopology('roads', 4326);
SELECT topology.AddNode('roads', 'SRID=4326;POINT(1 2)');
CREATE TABLE ways (id int);
SELECT topology.AddTopoGeometryColumn('roads', 'public', 'ways', 'shape', 'POINT');
