#include "node/casework/statistics_state.h"

/* Put a value into a list, once. */
static void
list_add(uint32_t *list, size_t *count, size_t room, uint32_t value)
{
    for (size_t n = 0; n < *count; n++) {
        if (list[n] == value) {
            return;
        }
    }
    if (*count < room) {
        list[*count] = value;
        ++*count;
    }
}

static void
keep_first(uint32_t *day, uint32_t other)
{
    *day = *day == 0 || other < *day ? other : *day;
}

/* What one element of the case says. An act is read where it will stand: it is large. */
struct element {
    struct act *act;
    bool is_act;
    bool is_victim;
    bool is_perpetrator;
    bool of_window;
    uint32_t side;
    uint32_t action_day;
    struct victim victim;
    struct perpetrator perpetrator;
    size_t development_count;
    uint32_t developments[LIST_MAX];
};

static void
element_begin(struct element *element, struct parted *parted)
{
    struct act *act = &parted->acts[parted->act_count < ACTS_MAX ? parted->act_count : ACTS_MAX];

    act->type = 0;
    act->stage = 0;
    act->day = 0;
    act->online_said = false;
    act->online = false;
    act->basis_count = 0;
    act->victim_count = 0;
    element->act = act;
    element->is_act = false;
    element->is_victim = false;
    element->is_perpetrator = false;
    element->of_window = false;
    element->side = 0;
    element->action_day = 0;
    element->victim = (struct victim){ 0, 0 };
    element->perpetrator = (struct perpetrator){ 0, 0 };
    element->development_count = 0;
}

static void
element_take(struct element *element, const struct fact *fact, uint32_t window, const uint32_t *same)
{
    switch (fact->what) {
    case FACT_ACT_TYPE:
        element->act->type = fact->value;
        element->is_act = true;
        break;
    case FACT_ACT_STAGE:
        element->act->stage = fact->value;
        element->is_act = true;
        break;
    case FACT_ACT_DAY:
        element->act->day = fact->value;
        element->is_act = true;
        break;
    case FACT_ACT_ONLINE:
        element->act->online_said = true;
        element->act->online = fact->value != 0;
        element->is_act = true;
        break;
    case FACT_ACT_BASIS:
        list_add(element->act->bases, &element->act->basis_count, LIST_MAX, fact->value);
        element->is_act = true;
        break;
    case FACT_ACT_VICTIM:
        list_add(element->act->victims, &element->act->victim_count, LIST_MAX, same[fact->value]);
        element->is_act = true;
        break;
    case FACT_VICTIM:
        element->victim.person = same[fact->value];
        element->is_victim = true;
        break;
    case FACT_VICTIM_PART:
        element->victim.part = fact->value;
        break;
    case FACT_PERPETRATOR_TYPE:
        element->perpetrator.type = fact->value;
        element->is_perpetrator = true;
        break;
    case FACT_PERPETRATOR_SIDE:
        element->perpetrator.side = fact->value;
        element->is_perpetrator = true;
        break;
    case FACT_ACTION_SIDE:
        element->side = fact->value;
        break;
    case FACT_ACTION_DAY:
        element->action_day = fact->value;
        break;
    case FACT_FOLLOW_UP_WINDOW:
        element->of_window = element->of_window || window == 0 || fact->value == window;
        break;
    case FACT_DEVELOPMENT:
        list_add(element->developments, &element->development_count, LIST_MAX, fact->value);
        break;
    default:
        break;
    }
}

enum { SIDE_UN = 2, SIDE_GOVERNMENT = 3 }; /* of vocabulary actor_side */

static void
element_end(struct parted *parted, const struct element *element)
{
    if (element->is_act && parted->act_count < ACTS_MAX) {
        parted->act_count++;
        if (element->act->day != 0) {
            keep_first(&parted->first_act, element->act->day);
        }
    }
    bool twice = false; /* named by two records of one person */
    for (size_t n = 0; element->is_victim && element->victim.person != 0 && n < parted->victim_count; n++) {
        twice = twice || (parted->victims[n].person == element->victim.person &&
                          parted->victims[n].part == element->victim.part);
    }
    if (element->is_victim && !twice && parted->victim_count < ACTS_MAX) {
        parted->victims[parted->victim_count] = element->victim;
        parted->victim_count++;
    }
    if (element->is_perpetrator && parted->perpetrator_count < ACTS_MAX) {
        parted->perpetrators[parted->perpetrator_count] = element->perpetrator;
        parted->perpetrator_count++;
    }
    if (element->action_day != 0 && element->side == SIDE_UN) {
        keep_first(&parted->first_action, element->action_day);
    }
    if (element->of_window) {
        parted->followed = true;
        for (size_t n = 0; n < element->development_count; n++) {
            list_add(parted->developments, &parted->development_count, LIST_MAX, element->developments[n]);
        }
    }
}

/* The first answer after the first action: known once all actions are. */
static void
find_reply(struct parted *parted)
{
    const struct fact_record *record = parted->record;
    uint32_t side = 0;

    for (uint32_t n = 0; n < record->fact_count; n++) {
        const struct fact *fact = &record->facts[n];

        if (n == 0 || fact->element != record->facts[n - 1].element) {
            side = 0;
        }
        if (fact->what == FACT_ACTION_SIDE) {
            side = fact->value;
        } else if (fact->what == FACT_ACTION_DAY && side == SIDE_GOVERNMENT &&
                   fact->value >= parted->first_action) {
            keep_first(&parted->first_reply, fact->value);
        }
    }
}

void
statistics_part_case(struct parted *parted, const struct fact_record *record, uint32_t window,
                     const uint32_t *same)
{
    struct element element;
    uint16_t at = 0;

    /* What the counts say is all that is read. */
    parted->record = record;
    parted->status = 0;
    parted->verification = 0;
    parted->transnational = false;
    parted->window = 0;
    parted->earlier = false;
    parted->followed = false;
    parted->sources = 0;
    parted->host_count = 0;
    parted->state_count = 0;
    parted->actor_count = 0;
    parted->development_count = 0;
    parted->next_review = 0;
    parted->first_act = 0;
    parted->first_action = 0;
    parted->first_reply = 0;
    parted->act_count = 0;
    parted->victim_count = 0;
    parted->perpetrator_count = 0;
    element_begin(&element, parted);
    for (uint32_t n = 0; n < record->fact_count; n++) {
        const struct fact *fact = &record->facts[n];

        if (fact->element != at) {
            element_end(parted, &element);
            element_begin(&element, parted);
            at = fact->element;
        }
        switch (fact->what) {
        case FACT_STATUS:
            parted->status = fact->value;
            break;
        case FACT_VERIFICATION:
            parted->verification = fact->value;
            break;
        case FACT_TRANSNATIONAL:
            parted->transnational = fact->value != 0;
            break;
        case FACT_OF_WINDOW:
            parted->window = fact->value;
            break;
        case FACT_EARLIER_REPORT:
            parted->earlier = true;
            break;
        case FACT_SOURCE:
            parted->sources++;
            break;
        case FACT_HOST:
            list_add(parted->hosts, &parted->host_count, LIST_MAX, fact->value);
            break;
        case FACT_STATE:
        case FACT_STUB_STATE:
            list_add(parted->states, &parted->state_count, LIST_MAX, fact->value);
            break;
        case FACT_UN_ACTOR:
            list_add(parted->actors, &parted->actor_count, LIST_MAX, fact->value);
            break;
        case FACT_NEXT_REVIEW:
            keep_first(&parted->next_review, fact->value);
            break;
        default:
            element_take(&element, fact, window, same);
            break;
        }
    }
    element_end(parted, &element);
    if (parted->first_action != 0) {
        find_reply(parted);
    }
}
