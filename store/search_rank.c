#include "store/search_rank.h"

#include <math.h>
#include <string.h>

static const double saturation = 1.2;

/* What is the same for all hits of a query; the numbers of one hit stand behind the weights. */
struct query_weights {
    int phrases;
    double each[]; /* [phrases] weights, [phrases] times that the hit holds it */
};

static int
count_row(const Fts5ExtensionApi *api, Fts5Context *hit, void *self)
{
    sqlite3_int64 *rows = self;

    (void)api;
    (void)hit;
    ++*rows;
    return SQLITE_OK;
}

/* What a phrase says: nearly nothing if most texts hold it. */
static double
weigh(sqlite3_int64 rows, sqlite3_int64 holding)
{
    double weight = log(((double)(rows - holding) + 0.5) / ((double)holding + 0.5));

    return weight > 1e-6 ? weight : 1e-6;
}

/* A query of one phrase needs none: its weight would change no order. */
static int
weigh_all(const Fts5ExtensionApi *api, Fts5Context *hit, struct query_weights *weights)
{
    sqlite3_int64 rows = 0;
    int status = weights->phrases > 1 ? api->xRowCount(hit, &rows) : SQLITE_OK;

    for (int n = 0; n < weights->phrases && status == SQLITE_OK; n++) {
        sqlite3_int64 holding = 0;

        if (weights->phrases > 1) {
            status = api->xQueryPhrase(hit, n, &holding, count_row);
        }
        weights->each[n] = weights->phrases > 1 ? weigh(rows, holding) : 1;
    }
    return status;
}

/* The weights of this query, made at its first hit; NULL and a status: they could not be. */
static struct query_weights *
weights_of(const Fts5ExtensionApi *api, Fts5Context *hit, int *status_out)
{
    struct query_weights *weights = api->xGetAuxdata(hit, 0);

    *status_out = SQLITE_OK;
    if (weights != NULL) {
        return weights;
    }
    int phrases = api->xPhraseCount(hit);
    weights = sqlite3_malloc64(sizeof *weights + 2 * (size_t)phrases * sizeof weights->each[0]);
    if (weights == NULL) {
        *status_out = SQLITE_NOMEM;
        return NULL;
    }
    weights->phrases = phrases;
    *status_out = weigh_all(api, hit, weights);
    if (*status_out != SQLITE_OK) {
        sqlite3_free(weights);
        return NULL;
    }
    /* It frees them itself if it fails. */
    *status_out = api->xSetAuxdata(hit, weights, sqlite3_free);
    return *status_out == SQLITE_OK ? weights : NULL;
}

static void
closeness(const Fts5ExtensionApi *api, Fts5Context *hit, sqlite3_context *answer, int value_count,
          sqlite3_value **values)
{
    int status = SQLITE_OK;
    int found = 0;
    double score = 0;

    (void)value_count;
    (void)values;
    struct query_weights *weights = weights_of(api, hit, &status);
    if (weights == NULL) {
        sqlite3_result_error_code(answer, status);
        return;
    }
    double *times = weights->each + weights->phrases;
    for (int n = 0; n < weights->phrases; n++) {
        times[n] = 0;
    }
    status = api->xInstCount(hit, &found);
    for (int n = 0; n < found && status == SQLITE_OK; n++) {
        int phrase = 0;
        int column = 0;
        int offset = 0;

        status = api->xInst(hit, n, &phrase, &column, &offset);
        if (status == SQLITE_OK) {
            times[phrase] += 1;
        }
    }
    if (status != SQLITE_OK) {
        sqlite3_result_error_code(answer, status);
        return;
    }
    for (int n = 0; n < weights->phrases; n++) {
        score += weights->each[n] * times[n] * (saturation + 1) / (times[n] + saturation);
    }
    sqlite3_result_double(answer, -score);
}

bool
search_rank_add(fts5_api *fts5)
{
    return fts5->xCreateFunction(fts5, SEARCH_RANK, NULL, closeness, NULL) == SQLITE_OK;
}
