/* codebook_reprisals.c - the embedded codebook: intimidation and reprisals against
 * people who cooperate with the UN on human rights.
 *
 * Pure tables; tests/data/codebook.list says what must be in them. Numbers are part of
 * the format: a row may be added with a number that was never used, none is renumbered
 * or given another meaning. The fields that a case sets most have numbers below 24, one
 * byte each on the wire, and nearly all others stay below 256.
 */
#include "store/codebook.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define VALUE(number, name, label)                                                                           \
    {                                                                                                        \
        number, 0, name, label, 0                                                                            \
    }
#define RANKED(number, rank, name, label)                                                                    \
    {                                                                                                        \
        number, rank, name, label, 0                                                                         \
    }
#define GROUPED(number, group, name, label)                                                                  \
    {                                                                                                        \
        number, 0, name, label, group                                                                        \
    }
#define VOCABULARY(number, name, label, values)                                                              \
    {                                                                                                        \
        number, name, label, values, COUNT(values), 0, NULL, 0                                               \
    }
#define VOCABULARY_IN_GROUPS(number, name, label, values, groups)                                            \
    {                                                                                                        \
        number, name, label, values, COUNT(values), groups, NULL, 0                                          \
    }
#define VOCABULARY_OF_STEPS(number, name, label, values, steps)                                              \
    {                                                                                                        \
        number, name, label, values, COUNT(values), 0, steps, COUNT(steps)                                   \
    }

/* clang-format off */

enum { CODEBOOK_VERSION = 1 };

enum kind_number {
    KIND_CASE = 1,
    KIND_PERSON,
    KIND_SOURCE,
    KIND_FOCAL_POINT,
    KIND_GOOD_PRACTICE,
    KIND_POLICY_DEVELOPMENT,
    KIND_REPORTING_WINDOW,
    KIND_COUNT_STUB,
    KIND_AUDIT_LOG,
    KIND_SNAPSHOT
};

/* As bits of a field's or collection's `kinds`. */
enum {
    CASE     = 1 << KIND_CASE,
    PERSON   = 1 << KIND_PERSON,
    SOURCE   = 1 << KIND_SOURCE,
    FOCAL    = 1 << KIND_FOCAL_POINT,
    PRACTICE = 1 << KIND_GOOD_PRACTICE,
    POLICY   = 1 << KIND_POLICY_DEVELOPMENT,
    WINDOW   = 1 << KIND_REPORTING_WINDOW,
    STUB     = 1 << KIND_COUNT_STUB,
    AUDIT    = 1 << KIND_AUDIT_LOG,
    SNAPSHOT = 1 << KIND_SNAPSHOT,
    EVERY    = CASE | PERSON | SOURCE | FOCAL | PRACTICE | POLICY | WINDOW | STUB | AUDIT | SNAPSHOT
};

enum collection_number {
    NOTE = COLLECTION_NOTE,
    LINK = COLLECTION_LINK,
    ATTACHMENT = COLLECTION_ATTACHMENT,
    SAME_AS = COLLECTION_SAME_AS,
    RESTRICTION = COLLECTION_RESTRICTION,
    ACT = 6,
    VICTIM = 7,
    SOURCE_REF = 8,
    COUNTRY_OF_ACT = 9,
    COUNTRY_ALLEGED_RESPONSIBLE = 10,
    SCOPE_BASIS = 11,
    NARRATIVE = 12,
    NARRATIVE_PUBLIC = 13,
    PERPETRATOR = 14,
    COOPERATION = 15,
    ACTION = 16,
    EVIDENCE = COLLECTION_EVIDENCE,
    CUSTODY = COLLECTION_CUSTODY,
    FOLLOW_UP = 19,
    LINKED_CASE = 20,
    EARLIER_REPORT = 21,
    CONSENT = 22,
    ROLES = 23,
    NAME = 24,
    IDENTITY_DOCUMENT = 25,
    NATIONALITY = 26,
    COUNTRY_OF_RESIDENCE = 27,
    VULNERABILITY = 28,
    CONTACT = 29,
    INDEPENDENT_OF = 30,
    LANGUAGES = 31,
    COUNTRY = 32,
    REVIEW = 33,
    EVENT = 34,
    CONSENT_OVERRIDE = 35,
    ACKNOWLEDGEMENT = 36,
    LOWERING = 37,
    NOT_SAME_AS = COLLECTION_NOT_SAME_AS,
    IMPORTED_FROM = 39,
    FRONTIER = 40,
    VERSIONS = 41,
    FIGURES = 42
};

enum vocabulary_number {
    V_RECORD_KIND = 1,
    V_SENSITIVITY,
    V_RETENTION_CLASS,
    V_RESTRICTION_REASON,
    V_CASE_KIND,
    V_ACT_NATURE,
    V_SCOPE_BASIS,
    V_SCOPE_DECISION,
    V_CASE_STATUS,
    V_URGENCY,
    V_VERIFICATION,
    V_RISK_LEVEL,
    V_CASE_RELATION,
    V_VICTIM_PART,
    V_ACT_GROUP = 20,
    V_ACT_TYPE,
    V_ACT_STAGE,
    V_PLACE_TYPE,
    V_PLATFORM_TYPE,
    V_LEGAL_BASIS,
    V_ACT_METHOD,
    V_PHYSICAL_CONSEQUENCE,
    V_PSYCHOLOGICAL_CONSEQUENCE,
    V_DETENTION_TYPE,
    V_WHEREABOUTS,
    V_DETENTION_CONTACT,
    V_COUNSEL_ACCESS,
    V_ATTRIBUTION,
    V_COOPERATION_LINK,
    V_ACTOR_TYPE = 40,
    V_STATE_OR_NON_STATE,
    V_INVOLVEMENT,
    V_PERPETRATOR_STATUS,
    V_UN_ACTOR,
    V_COOPERATION_FORM,
    V_COOPERATION_STATE,
    V_VISIBILITY,
    V_ACTOR_SIDE = 50,
    V_VICTIM_ACTION,
    V_UN_ACTION,
    V_UN_ACTION_CONFIDENTIAL,
    V_GOVERNMENT_ACTION,
    V_IMPACT,
    V_ACTION_STATUS,
    V_DERIVATION,
    V_CUSTODY_EVENT,
    V_NEW_DEVELOPMENT,
    V_ANNEX_DECISION,
    V_COUNTING_UNIT = 70,
    V_GENDER,
    V_YES_NO_UNKNOWN,
    V_AGE_GROUP,
    V_ROLE,
    V_VULNERABILITY,
    V_CONTACT_CHANNEL,
    V_PERSON_SITUATION,
    V_RELATION_TO_VICTIM,
    V_NAME_TYPE,
    V_CONSENT_GIVER,
    V_CONSENT_SCOPE,
    V_CONSENT_DECISION,
    V_CONSENT_MANNER,
    V_SOURCE_TYPE = 90,
    V_CHANNEL,
    V_RELIABILITY,
    V_MATERIAL_TYPE,
    V_FOCAL_POINT_ROLE = 100,
    V_PRACTICE_CATEGORY,
    V_POLICY_ACTOR,
    V_INSTRUMENT,
    V_EFFECT,
    V_GATE = 110,
    V_GATE_DECISION,
    V_AUDIT_OPERATION,
    V_EXPOSURE = 118,
    V_NOT_SAME_REASON = 120
};

static const struct codebook_kind kinds[] = {
    { KIND_CASE, "case", "Case" },
    { KIND_PERSON, "person", "Person or group" },
    { KIND_SOURCE, "source", "Source" },
    { KIND_FOCAL_POINT, "focal_point", "Focal point" },
    { KIND_GOOD_PRACTICE, "good_practice", "Good practice" },
    { KIND_POLICY_DEVELOPMENT, "policy_development", "Policy development" },
    { KIND_REPORTING_WINDOW, "reporting_window", "Reporting window" },
    { KIND_COUNT_STUB, "count_stub", "Count stub" },
    { KIND_AUDIT_LOG, "audit_log", "Audit log" },
    { KIND_SNAPSHOT, "snapshot", "Snapshot of a reporting window" },
};

/* --- Vocabularies of every record, and of the case ---------------------------------------- */

static const struct codebook_value record_kind[] = {
    VALUE(KIND_CASE, "case", "Case"),
    VALUE(KIND_PERSON, "person", "Person or group"),
    VALUE(KIND_SOURCE, "source", "Source"),
    VALUE(KIND_FOCAL_POINT, "focal_point", "Focal point"),
    VALUE(KIND_GOOD_PRACTICE, "good_practice", "Good practice"),
    VALUE(KIND_POLICY_DEVELOPMENT, "policy_development", "Policy development"),
    VALUE(KIND_REPORTING_WINDOW, "reporting_window", "Reporting window"),
    VALUE(KIND_COUNT_STUB, "count_stub", "Count stub"),
    VALUE(KIND_AUDIT_LOG, "audit_log", "Audit log"),
    VALUE(KIND_SNAPSHOT, "snapshot", "Snapshot of a reporting window"),
};

static const struct codebook_value sensitivity[] = {
    RANKED(1, 1, "l0_open", "L0 open: may be published"),
    RANKED(2, 2, "l1_internal", "L1 internal: UN staff with access"),
    RANKED(3, 3, "l2_confidential", "L2 confidential: case team and headquarters team"),
    RANKED(4, 4, "l3_strict", "L3 strict: identifies or locates somebody"),
};

static const struct codebook_value retention_class[] = {
    RANKED(1, 1, "short", "Short: until the case is closed"),
    RANKED(2, 2, "standard", "Standard: as long as the office's rule says"),
    RANKED(3, 3, "long", "Long: kept for proceedings that may follow"),
    RANKED(4, 4, "permanent", "Permanent: kept for good"),
};

static const struct codebook_value restriction_reason[] = {
    VALUE(1, "consent_withdrawn", "Consent was withdrawn"),
    VALUE(2, "erasure_requested", "Erasure was asked for"),
    VALUE(3, "safety", "Somebody's safety"),
    VALUE(4, "legal", "A legal duty"),
    VALUE(5, "under_review", "Under review"),
    VALUE(6, "other", "Another reason"),
};

static const struct codebook_value case_kind[] = {
    VALUE(1, "individual_case", "Individual case"),
    VALUE(2, "situation", "Situation"),
    VALUE(3, "pattern_or_trend", "Pattern or trend"),
    VALUE(4, "legislation", "Legislation"),
};

static const struct codebook_value act_nature[] = {
    VALUE(1, "intimidation", "Intimidation"),
    VALUE(2, "reprisal", "Reprisal"),
    VALUE(3, "both", "Intimidation and reprisal"),
    VALUE(4, "unclear", "Unclear"),
};

static const struct codebook_value scope_basis[] = {
    VALUE(1, "seeks_to_cooperate", "Seeks to cooperate with the UN"),
    VALUE(2, "cooperates", "Cooperates with the UN"),
    VALUE(3, "has_cooperated", "Has cooperated with the UN"),
    VALUE(4, "testimony_or_information", "Gave testimony or information"),
    VALUE(5, "used_un_procedure", "Used a UN human rights procedure"),
    VALUE(6, "gave_legal_assistance", "Gave legal assistance for that purpose"),
    VALUE(7, "submitted_communication", "Submitted a communication"),
    VALUE(8, "relative_of_victim", "Is a relative of a victim"),
    VALUE(9, "assisted_victim", "Assisted a victim"),
    VALUE(10, "perceived_to_cooperate", "Was perceived to cooperate"),
};

static const struct codebook_value scope_decision[] = {
    VALUE(1, "in_scope", "In scope"),
    VALUE(2, "out_of_scope", "Out of scope"),
    VALUE(3, "undetermined", "Not determined"),
};

/* The rank tells how far a case has come: what is asked for by then goes by it. What is left out of a report, followed up or closed
 * has been reviewed at headquarters, and not more. */
static const struct codebook_value case_status[] = {
    RANKED(1, 1, "draft", "Draft"),
    RANKED(2, 2, "received", "Received"),
    RANKED(3, 3, "triage", "Triage"),
    RANKED(4, 4, "assessment", "Assessment"),
    RANKED(5, 5, "office_cleared", "Cleared by the office"),
    RANKED(6, 6, "shared_with_hq", "Shared with headquarters"),
    RANKED(7, 7, "hq_review", "Review at headquarters"),
    RANKED(8, 8, "action_only", "Action only"),
    RANKED(9, 9, "proposed_for_report", "Proposed for the report"),
    RANKED(10, 10, "included_named", "Included, named"),
    RANKED(11, 10, "included_anonymised", "Included, anonymised"),
    RANKED(12, 9, "counted_only", "Counted only"),
    RANKED(13, 9, "excluded_protection", "Left out for protection"),
    RANKED(14, 9, "excluded_scope", "Left out: out of scope"),
    RANKED(15, 9, "excluded_unverified", "Left out: not verified"),
    RANKED(16, 7, "follow_up", "Follow-up"),
    RANKED(17, 7, "closed", "Closed"),
    RANKED(18, 4, "reopened", "Reopened"),
    RANKED(19, 19, "duplicate_of", "Duplicate of another case"),
    RANKED(20, 20, "out_of_scope", "Out of scope"),
    RANKED(21, 21, "transferred", "Transferred"),
    RANKED(22, 22, "withdrawn", "Withdrawn"),
    RANKED(23, 23, "sealed", "Sealed"),
};

/* Which status may follow which, and what has to be passed before: DOMAIN (b.1) and (b.3). What is left out of a report, or
 * leaves the way for good, needs no more than four eyes; what is said of a person needs everything. */
enum {
    EVERY_GATE = GATE_SCOPE | GATE_CONSENT | GATE_NO_HARM | GATE_VERIFICATION | GATE_FOUR_EYES | GATE_REPLY
};

static const struct codebook_step case_steps[] = {
    { STEP_FROM_NONE, 1, 0 }, /* draft */
    { STEP_FROM_NONE, 2, 0 }, /* received */
    { 1, 2, 0 }, /* draft -> received */
    { 2, 3, 0 }, /* received -> triage */
    { 3, 4, 0 }, /* triage -> assessment */
    { 4, 5, GATE_SCOPE | GATE_FOUR_EYES }, /* assessment -> cleared by the office */
    { 5, 4, 0 }, /* and back */
    { 5, 6, GATE_CONSENT }, /* -> shared with headquarters */
    { 6, 7, 0 }, /* -> review there */
    { 7, 5, 0 }, /* sent back */
    { 7, 8, GATE_CONSENT | GATE_FOUR_EYES }, /* -> action only */
    { 7, 9, GATE_SCOPE | GATE_CONSENT | GATE_VERIFICATION }, /* -> proposed for the report */
    { 7, 16, 0 }, /* -> follow-up */
    { 7, 17, GATE_FOUR_EYES }, /* -> closed */
    { 8, 16, 0 }, /* action only -> follow-up */
    { 8, 17, GATE_FOUR_EYES }, /* -> closed */
    { 9, 7, 0 }, /* proposed -> back to the review */
    { 9, 10, EVERY_GATE }, /* -> included, named */
    { 9, 11, EVERY_GATE }, /* -> included, anonymised */
    { 9, 12, GATE_SCOPE | GATE_CONSENT | GATE_VERIFICATION | GATE_FOUR_EYES }, /* -> counted only */
    { 9, 13, GATE_FOUR_EYES }, /* -> left out for protection */
    { 9, 14, GATE_FOUR_EYES }, /* -> left out: out of scope */
    { 9, 15, GATE_FOUR_EYES }, /* -> left out: not verified */
    { 10, 16, 0 }, /* included -> follow-up in the next window */
    { 11, 16, 0 },
    { 12, 16, 0 },
    { 13, 16, 0 },
    { 14, 17, 0 },
    { 15, 16, 0 },
    { 16, 7, 0 }, /* follow-up -> review again */
    { 16, 17, GATE_FOUR_EYES }, /* -> closed */
    { 17, 18, 0 }, /* closed -> reopened */
    { 18, 4, 0 }, /* reopened -> assessment */
    { 18, 7, 0 }, /* or review */
    { STEP_FROM_ANY, 19, GATE_FOUR_EYES }, /* duplicate of another case */
    { STEP_FROM_ANY, 20, GATE_FOUR_EYES }, /* out of scope */
    { STEP_FROM_ANY, 21, GATE_CONSENT }, /* transferred */
    { STEP_FROM_ANY, 22, 0 }, /* withdrawn: nobody stands in the way */
    { STEP_FROM_ANY, 23, GATE_FOUR_EYES }, /* sealed */
};

/* Value n is bit n - 1 of enum codebook_gate. */
static const struct codebook_value gate[] = {
    VALUE(1, "scope", "Scope"),
    VALUE(2, "consent", "Consent"),
    VALUE(3, "no_harm", "Do no harm"),
    VALUE(4, "verification", "Verification"),
    VALUE(5, "four_eyes", "Four eyes"),
    VALUE(6, "reply", "Government reply"),
};

static const struct codebook_value gate_decision[] = {
    RANKED(1, 1, "passed", "Passed"),
    RANKED(2, 2, "refused", "Refused"),
};

static const struct codebook_value audit_operation[] = {
    VALUE(1, "read", "Read what is strictly confidential"),
    VALUE(2, "search", "Searched"),
    VALUE(3, "export", "Exported"),
    VALUE(4, "import", "Imported"),
    VALUE(5, "override", "Acted without consent"),
    VALUE(6, "gate", "Decided at a gate"),
    VALUE(7, "snapshot", "Froze or verified figures"),
    VALUE(8, "link", "Linked or parted duplicates"),
    VALUE(9, "unsuppressed", "Read small figures"),
    VALUE(10, "security", "Refused or noticed by the node"),
};

static const struct codebook_value not_same_reason[] = {
    VALUE(1, "namesake", "Another person of the same name"),
    VALUE(2, "relative", "A relative"),
    VALUE(3, "other_particulars", "Birth, origin or work are others"),
    VALUE(4, "other_event", "Another event"),
    VALUE(5, "later_event", "The same person, at another time"),
    VALUE(6, "confirmed_apart", "Whoever reported them says that they are two"),
    VALUE(7, "other", "Other"),
};

static const struct codebook_value urgency[] = {
    RANKED(1, 4, "emergency", "U1 emergency"),
    RANKED(2, 3, "urgent", "U2 urgent: same day"),
    RANKED(3, 2, "priority", "U3 priority: within 7 days"),
    RANKED(4, 1, "routine", "U4 routine"),
};

/* What got into other hands. */
static const struct codebook_value exposure[] = {
    VALUE(1, "identity_leaked", "Somebody's identity leaked"),
    VALUE(2, "device_seized", "A device that holds data was seized"),
};

/* Ranks: a later stage above an earlier one, a doubt above a confirmation, so that nothing
 * is taken for confirmed while a colleague has rejected it. */
static const struct codebook_value verification[] = {
    RANKED(1, 1, "allegation", "Allegation"),
    RANKED(2, 2, "under_assessment", "Under assessment"),
    RANKED(3, 3, "corroborated", "Corroborated"),
    RANKED(4, 4, "reasonable_grounds", "Reasonable grounds to believe"),
    RANKED(5, 5, "not_corroborated", "Not corroborated"),
    RANKED(6, 6, "rejected", "Rejected"),
};

static const struct codebook_value risk_level[] = {
    RANKED(1, 1, "low", "Low"),
    RANKED(2, 2, "medium", "Medium"),
    RANKED(3, 3, "high", "High"),
    RANKED(4, 4, "extreme", "Extreme"),
};

static const struct codebook_value case_relation[] = {
    VALUE(1, "precedes", "Comes before"),
    VALUE(2, "encompasses", "Includes"),
    VALUE(3, "causes", "Is a cause of"),
    VALUE(4, "parallel", "Runs in parallel to"),
    VALUE(5, "part_of", "Is part of"),
    VALUE(6, "follows", "Comes after"),
    VALUE(7, "consequence_of", "Is a consequence of"),
    VALUE(8, "same_as", "Is the same as"),
    VALUE(9, "split_from", "Was split from"),
};

static const struct codebook_value victim_part[] = {
    VALUE(1, "alleged_victim", "Alleged victim"),
    VALUE(2, "associated_person", "Associated person"),
};

/* --- Acts --------------------------------------------------------------------------------- */

enum act_group_number {
    G_VIOLENCE = 1,
    G_LIBERTY,
    G_MOVEMENT,
    G_JUDICIAL,
    G_ECONOMIC,
    G_DIGITAL,
    G_DEFAMATION,
    G_ASSOCIATION,
    G_LEGISLATION,
    G_SELF_CENSORSHIP,
    G_OTHER
};

static const struct codebook_value act_group[] = {
    VALUE(G_VIOLENCE, "violence", "Violence"),
    VALUE(G_LIBERTY, "liberty", "Liberty"),
    VALUE(G_MOVEMENT, "movement", "Movement"),
    VALUE(G_JUDICIAL, "judicial_administrative", "Judicial and administrative"),
    VALUE(G_ECONOMIC, "economic_professional", "Economic and professional"),
    VALUE(G_DIGITAL, "surveillance_digital", "Surveillance and digital"),
    VALUE(G_DEFAMATION, "defamation", "Defamation"),
    VALUE(G_ASSOCIATION, "association_participation", "Association and participation"),
    VALUE(G_LEGISLATION, "legislation", "Legislation"),
    VALUE(G_SELF_CENSORSHIP, "self_censorship", "Self-censorship"),
    VALUE(G_OTHER, "other", "Other"),
};

static const struct codebook_value act_type[] = {
    GROUPED(1, G_VIOLENCE, "killing", "Killing"),
    GROUPED(2, G_VIOLENCE, "attempted_killing", "Attempted killing"),
    GROUPED(3, G_LIBERTY, "enforced_disappearance", "Enforced disappearance"),
    GROUPED(4, G_LIBERTY, "abduction", "Abduction"),
    GROUPED(5, G_VIOLENCE, "torture_ill_treatment", "Torture or ill-treatment"),
    GROUPED(6, G_VIOLENCE, "sexual_violence", "Sexual violence"),
    GROUPED(7, G_VIOLENCE, "physical_assault", "Physical assault"),
    GROUPED(8, G_VIOLENCE, "death_threat", "Death threat"),
    GROUPED(9, G_VIOLENCE, "threat_other", "Other threat"),
    GROUPED(10, G_VIOLENCE, "threat_or_harm_to_relatives", "Threat or harm to relatives"),
    GROUPED(11, G_LIBERTY, "arbitrary_arrest", "Arbitrary arrest"),
    GROUPED(12, G_LIBERTY, "detention", "Detention"),
    GROUPED(13, G_LIBERTY, "incommunicado_or_solitary", "Incommunicado or solitary detention"),
    GROUPED(14, G_LIBERTY, "house_arrest", "House arrest"),
    GROUPED(15, G_LIBERTY, "prison_sentence", "Prison sentence"),
    GROUPED(16, G_JUDICIAL, "criminal_charges", "Criminal charges"),
    GROUPED(17, G_JUDICIAL, "terrorism_or_security_charges", "Terrorism or security charges"),
    GROUPED(18, G_JUDICIAL, "administrative_fine", "Administrative fine"),
    GROUPED(19, G_JUDICIAL, "trial_in_absentia", "Trial in absentia"),
    GROUPED(20, G_MOVEMENT, "travel_ban", "Travel ban"),
    GROUPED(21, G_MOVEMENT, "passport_confiscation", "Confiscation of a passport"),
    GROUPED(22, G_MOVEMENT, "denial_of_visa_or_entry", "Denial of visa or entry"),
    GROUPED(23, G_MOVEMENT, "deportation_or_extradition", "Deportation or extradition"),
    GROUPED(24, G_MOVEMENT, "denial_of_nationality_or_exile", "Denial of nationality, or exile"),
    GROUPED(25, G_JUDICIAL, "raid_or_search", "Raid or search"),
    GROUPED(26, G_ECONOMIC, "seizure_of_property_or_devices", "Seizure of property or devices"),
    GROUPED(27, G_ECONOMIC, "asset_freeze", "Freezing of assets"),
    GROUPED(28, G_ECONOMIC, "dismissal_or_loss_of_licence", "Dismissal or loss of a licence"),
    GROUPED(29, G_ECONOMIC, "disbarment", "Disbarment"),
    GROUPED(30, G_ASSOCIATION, "ngo_deregistration", "NGO struck off the register"),
    GROUPED(31, G_ASSOCIATION, "ngo_accreditation_blocked", "NGO accreditation blocked"),
    GROUPED(32, G_ASSOCIATION, "funding_restriction", "Restriction of funding"),
    GROUPED(33, G_DIGITAL, "physical_surveillance", "Physical surveillance"),
    GROUPED(34, G_DIGITAL, "online_surveillance_or_spyware", "Online surveillance or spyware"),
    GROUPED(35, G_DIGITAL, "hacking_or_cyberattack", "Hacking or cyberattack"),
    GROUPED(36, G_DIGITAL, "photographing_or_filming_at_meeting", "Photographing or filming at a meeting"),
    GROUPED(37, G_DEFAMATION, "smear_or_stigmatisation", "Smear or stigmatisation"),
    GROUPED(38, G_DIGITAL, "online_harassment_or_doxxing", "Online harassment or doxxing"),
    GROUPED(39, G_DEFAMATION, "hate_speech", "Hate speech"),
    GROUPED(40, G_ASSOCIATION, "censorship_or_blocking", "Censorship or blocking"),
    GROUPED(41, G_JUDICIAL, "interrogation_or_summons", "Interrogation or summons"),
    GROUPED(42, G_ASSOCIATION, "pressure_to_withdraw_or_recant", "Pressure to withdraw or recant"),
    GROUPED(43, G_LEGISLATION, "restrictive_legislation", "Restrictive legislation"),
    GROUPED(44, G_LEGISLATION, "sanctions_on_mandate_holders", "Sanctions on mandate holders"),
    GROUPED(45, G_SELF_CENSORSHIP, "self_censorship_observed", "Self-censorship observed"),
    GROUPED(46, G_OTHER, "other", "Other"),
};

/* Ranks: a harm that goes on stands above one that is over. */
static const struct codebook_value act_stage[] = {
    RANKED(1, 1, "threatened", "Threatened"),
    RANKED(2, 2, "attempted", "Attempted"),
    RANKED(3, 3, "carried_out", "Carried out"),
    RANKED(4, 5, "ongoing", "Going on"),
    RANKED(5, 4, "ended", "Ended"),
};

static const struct codebook_value place_type[] = {
    VALUE(1, "home", "Home"),
    VALUE(2, "workplace", "Workplace"),
    VALUE(3, "street_or_public_place", "Street or public place"),
    VALUE(4, "police_station", "Police station"),
    VALUE(5, "prison_or_detention_centre", "Prison or detention centre"),
    VALUE(6, "court", "Court"),
    VALUE(7, "government_office", "Government office"),
    VALUE(8, "military_site", "Military site"),
    VALUE(9, "border_or_airport", "Border crossing or airport"),
    VALUE(10, "hotel", "Hotel"),
    VALUE(11, "school_or_university", "School or university"),
    VALUE(12, "hospital", "Hospital"),
    VALUE(13, "place_of_worship", "Place of worship"),
    VALUE(14, "media_office", "Media office"),
    VALUE(15, "organisation_premises", "Premises of an organisation"),
    VALUE(16, "un_premises", "UN premises"),
    VALUE(17, "conference_venue", "Conference venue"),
    VALUE(18, "vehicle_or_checkpoint", "Vehicle or checkpoint"),
    VALUE(19, "camp_or_settlement", "Camp or settlement"),
    VALUE(20, "online", "Online"),
    VALUE(21, "other", "Other"),
    VALUE(22, "unknown", "Not known"),
};

static const struct codebook_value platform_type[] = {
    VALUE(1, "social_network", "Social network"),
    VALUE(2, "messaging_app", "Messaging app"),
    VALUE(3, "email", "Email"),
    VALUE(4, "website_or_blog", "Website or blog"),
    VALUE(5, "video_platform", "Video platform"),
    VALUE(6, "news_media", "News media"),
    VALUE(7, "telephone", "Telephone"),
    VALUE(8, "device_or_spyware", "The person's own device"),
    VALUE(9, "conference_tool", "Conference tool"),
    VALUE(10, "other", "Other"),
    VALUE(11, "unknown", "Not known"),
};

static const struct codebook_value legal_basis[] = {
    VALUE(1, "counter_terrorism", "Counter-terrorism"),
    VALUE(2, "national_security", "National security"),
    VALUE(3, "foreign_funding_agents", "Foreign funding or foreign agents"),
    VALUE(4, "ngo_registration", "Registration of NGOs"),
    VALUE(5, "defamation_insult", "Defamation or insult"),
    VALUE(6, "cybercrime", "Cybercrime"),
    VALUE(7, "public_order", "Public order"),
    VALUE(8, "state_secrets", "State secrets"),
    VALUE(9, "other", "Other"),
    VALUE(10, "none_stated", "None stated"),
};

static const struct codebook_value act_method[] = {
    VALUE(1, "verbal", "Spoken words"),
    VALUE(2, "written", "In writing"),
    VALUE(3, "phone_or_message", "Phone call or message"),
    VALUE(4, "online_post", "Post online"),
    VALUE(5, "in_person_visit", "Visit in person"),
    VALUE(6, "beating", "Beating"),
    VALUE(7, "weapon", "Use of a weapon"),
    VALUE(8, "restraint_or_confinement", "Restraint or confinement"),
    VALUE(9, "deprivation", "Deprivation of food, sleep or care"),
    VALUE(10, "forced_signature", "Forced signature or statement"),
    VALUE(11, "broadcast_or_press", "Broadcast or press"),
    VALUE(12, "court_or_official_letter", "Court paper or official letter"),
    VALUE(13, "covert_monitoring", "Covert monitoring"),
    VALUE(14, "malicious_software", "Malicious software"),
    VALUE(15, "crowd_or_mob", "Crowd or mob"),
    VALUE(16, "other", "Other"),
    VALUE(17, "unknown", "Not known"),
};

static const struct codebook_value physical_consequence[] = {
    VALUE(1, "none", "None"),
    VALUE(2, "minor_injury", "Minor injury"),
    VALUE(3, "serious_injury", "Serious injury"),
    VALUE(4, "lasting_disability", "Lasting disability"),
    VALUE(5, "illness", "Illness"),
    VALUE(6, "loss_of_pregnancy", "Loss of a pregnancy"),
    VALUE(7, "death", "Death"),
    VALUE(8, "other", "Other"),
    VALUE(9, "unknown", "Not known"),
};

static const struct codebook_value psychological_consequence[] = {
    VALUE(1, "none", "None"),
    VALUE(2, "fear_or_anxiety", "Fear or anxiety"),
    VALUE(3, "sleeplessness", "Sleeplessness"),
    VALUE(4, "depression", "Depression"),
    VALUE(5, "post_traumatic_stress", "Post-traumatic stress"),
    VALUE(6, "withdrawal_from_work", "Withdrawal from the work"),
    VALUE(7, "self_harm", "Self-harm"),
    VALUE(8, "other", "Other"),
    VALUE(9, "unknown", "Not known"),
};

static const struct codebook_value detention_type[] = {
    VALUE(1, "police_custody", "Police custody"),
    VALUE(2, "pretrial_detention", "Detention before trial"),
    VALUE(3, "serving_sentence", "Serving a sentence"),
    VALUE(4, "administrative_detention", "Administrative detention"),
    VALUE(5, "military_custody", "Military custody"),
    VALUE(6, "house_arrest", "House arrest"),
    VALUE(7, "psychiatric_institution", "Psychiatric institution"),
    VALUE(8, "immigration_detention", "Immigration detention"),
    VALUE(9, "unofficial_place", "Unofficial place"),
    VALUE(10, "other", "Other"),
    VALUE(11, "unknown", "Not known"),
};

static const struct codebook_value whereabouts[] = {
    VALUE(1, "known_officially", "Known, confirmed by the authorities"),
    VALUE(2, "known_unofficially", "Known, not confirmed"),
    VALUE(3, "unknown", "Not known"),
    VALUE(4, "authorities_refuse_to_say", "The authorities refuse to say"),
};

static const struct codebook_value detention_contact[] = {
    VALUE(1, "regular_visits", "Regular visits"),
    VALUE(2, "restricted_visits", "Restricted visits"),
    VALUE(3, "letters_or_calls_only", "Letters or calls only"),
    VALUE(4, "no_contact", "No contact"),
    VALUE(5, "unknown", "Not known"),
};

static const struct codebook_value counsel_access[] = {
    VALUE(1, "chosen_counsel", "Counsel of own choice"),
    VALUE(2, "appointed_counsel_only", "Appointed counsel only"),
    VALUE(3, "delayed", "Delayed"),
    VALUE(4, "denied", "Denied"),
    VALUE(5, "not_requested", "Not asked for"),
    VALUE(6, "unknown", "Not known"),
};

static const struct codebook_value attribution[] = {
    VALUE(1, "acknowledged_by_official", "An official acknowledges it"),
    VALUE(2, "denied_by_official", "An official denies it"),
    VALUE(3, "under_official_inquiry", "Under official inquiry"),
    VALUE(4, "claimed_by_group", "A group claims it"),
    VALUE(5, "blamed_on_others", "Blamed on others"),
    VALUE(6, "no_statement", "No statement"),
    VALUE(7, "unknown", "Not known"),
};

static const struct codebook_value cooperation_link[] = {
    VALUE(1, "stated_by_perpetrator", "Stated by the perpetrator"),
    VALUE(2, "timing", "Timing"),
    VALUE(3, "content_of_charges", "Content of the charges"),
    VALUE(4, "pattern", "Part of a pattern"),
    VALUE(5, "victim_belief", "Belief of the victim"),
    VALUE(6, "other", "Other"),
};

/* --- Perpetrators and cooperation --------------------------------------------------------- */

static const struct codebook_value actor_type[] = {
    VALUE(1, "head_of_state_or_government", "Head of State or Government"),
    VALUE(2, "executive_official", "Official of the executive"),
    VALUE(3, "local_official", "Local official"),
    VALUE(4, "armed_forces", "Armed forces"),
    VALUE(5, "police", "Police"),
    VALUE(6, "prison_service", "Prison service"),
    VALUE(7, "intelligence_service", "Intelligence service"),
    VALUE(8, "border_or_immigration_service", "Border or immigration service"),
    VALUE(9, "legislature", "Legislature"),
    VALUE(10, "judiciary_or_prosecution", "Judiciary or prosecution"),
    VALUE(11, "state_media", "State media"),
    VALUE(12, "other_state_agency", "Other State agency"),
    VALUE(13, "pro_government_group", "Pro-government group"),
    VALUE(14, "paramilitary", "Paramilitary force"),
    VALUE(15, "opposition_armed_group", "Opposition armed group"),
    VALUE(16, "private_security", "Private security"),
    VALUE(17, "mob_or_crowd", "Mob or crowd"),
    VALUE(18, "criminal_group", "Criminal group"),
    VALUE(19, "private_person", "Private person"),
    VALUE(20, "corporation", "Corporation"),
    VALUE(21, "political_party", "Political party"),
    VALUE(22, "religious_body", "Religious body"),
    VALUE(23, "non_state_media", "Media outside the State"),
    VALUE(24, "other", "Other"),
    VALUE(25, "unknown", "Not known"),
};

static const struct codebook_value state_or_non_state[] = {
    VALUE(1, "state", "State"),
    VALUE(2, "non_state", "Non-State"),
    VALUE(3, "state_linked", "Linked to the State"),
    VALUE(4, "unknown", "Not known"),
};

static const struct codebook_value involvement[] = {
    VALUE(1, "carried_out", "Carried it out"),
    VALUE(2, "ordered", "Ordered it"),
    VALUE(3, "planned", "Planned it"),
    VALUE(4, "accomplice", "Was an accomplice"),
    VALUE(5, "present", "Was present"),
    VALUE(6, "suspected", "Is suspected"),
    VALUE(7, "made_the_policy", "Made the policy"),
    VALUE(8, "failed_to_protect", "Failed to protect"),
    VALUE(9, "failed_to_investigate", "Failed to investigate"),
    VALUE(10, "other", "Other"),
    VALUE(11, "unknown", "Not known"),
};

static const struct codebook_value perpetrator_status[] = {
    VALUE(1, "in_office", "In office"),
    VALUE(2, "transferred", "Transferred"),
    VALUE(3, "promoted", "Promoted"),
    VALUE(4, "suspended", "Suspended"),
    VALUE(5, "dismissed", "Dismissed"),
    VALUE(6, "under_investigation", "Under investigation"),
    VALUE(7, "charged", "Charged"),
    VALUE(8, "convicted", "Convicted"),
    VALUE(9, "acquitted", "Acquitted"),
    VALUE(10, "amnestied", "Under an amnesty"),
    VALUE(11, "at_large", "At large"),
    VALUE(12, "deceased", "Deceased"),
    VALUE(13, "unknown", "Not known"),
};

static const struct codebook_value un_actor[] = {
    VALUE(1, "human_rights_council", "Human Rights Council"),
    VALUE(2, "council_president", "President of the Human Rights Council"),
    VALUE(3, "upr", "Universal Periodic Review"),
    VALUE(4, "special_procedures", "Special procedures"),
    VALUE(5, "commission_of_inquiry_or_fact_finding", "Commission of inquiry or fact-finding mission"),
    VALUE(6, "advisory_committee_or_forum", "Advisory Committee or forum of the Council"),
    VALUE(7, "complaint_procedure", "Complaint procedure"),
    VALUE(8, "hrctee", "Human Rights Committee"),
    VALUE(9, "cescr", "Committee on Economic, Social and Cultural Rights"),
    VALUE(10, "cerd", "Committee on the Elimination of Racial Discrimination"),
    VALUE(11, "cedaw", "Committee on the Elimination of Discrimination against Women"),
    VALUE(12, "cat", "Committee against Torture"),
    VALUE(13, "spt", "Subcommittee on Prevention of Torture"),
    VALUE(14, "crc", "Committee on the Rights of the Child"),
    VALUE(15, "cmw", "Committee on Migrant Workers"),
    VALUE(16, "crpd", "Committee on the Rights of Persons with Disabilities"),
    VALUE(17, "ced", "Committee on Enforced Disappearances"),
    VALUE(18, "ohchr_headquarters", "OHCHR headquarters"),
    VALUE(19, "ohchr_field_presence", "OHCHR field presence"),
    VALUE(20, "human_rights_adviser", "Human rights adviser"),
    VALUE(21, "country_team_or_resident_coordinator", "UN country team or Resident Coordinator"),
    VALUE(22, "peace_operation_human_rights", "Human rights component of a peace operation"),
    VALUE(23, "special_political_mission", "Special political mission"),
    VALUE(24, "security_council", "Security Council and its subsidiary bodies"),
    VALUE(25, "general_assembly", "General Assembly and Third Committee"),
    VALUE(26, "ecosoc_ngo_committee", "ECOSOC Committee on NGOs"),
    VALUE(27, "permanent_forum_indigenous", "Permanent Forum on Indigenous Issues"),
    VALUE(28, "csw_hlpf_other_forum", "CSW, HLPF or another forum"),
    VALUE(29, "torture_victims_fund", "Voluntary Fund for Victims of Torture"),
    VALUE(30, "unesco", "UNESCO"),
    VALUE(31, "ilo", "ILO"),
    VALUE(32, "unhcr", "UNHCR"),
    VALUE(33, "unicef", "UNICEF"),
    VALUE(34, "un_women", "UN Women"),
    VALUE(35, "undp_or_development_finance", "UNDP or development finance"),
    VALUE(36, "wgad", "Working Group on Arbitrary Detention"),
    VALUE(37, "wgeid", "Working Group on Enforced or Involuntary Disappearances"),
    VALUE(38, "other", "Other"),
};

static const struct codebook_value cooperation_form[] = {
    VALUE(1, "attended_meeting", "Attended a meeting"),
    VALUE(2, "gave_testimony", "Gave testimony"),
    VALUE(3, "submitted_report", "Submitted a report"),
    VALUE(4, "submitted_communication", "Submitted a communication"),
    VALUE(5, "individual_complaint", "Individual complaint"),
    VALUE(6, "met_mandate_holder", "Met a mandate holder"),
    VALUE(7, "met_country_visit", "Met a country visit"),
    VALUE(8, "met_field_presence", "Met a field presence"),
    VALUE(9, "ngo_accreditation", "Accreditation of an NGO"),
    VALUE(10, "briefed_security_council", "Briefed the Security Council"),
    VALUE(11, "side_event", "Side event"),
    VALUE(12, "online_engagement", "Engagement online"),
    VALUE(13, "shared_information", "Shared information"),
    VALUE(14, "legal_assistance", "Legal assistance"),
    VALUE(15, "staff_or_partner", "Staff or partner of the UN"),
    VALUE(16, "perceived_only", "Perceived only"),
    VALUE(17, "other", "Other"),
};

static const struct codebook_value cooperation_state[] = {
    VALUE(1, "sought", "Sought"),
    VALUE(2, "ongoing", "Going on"),
    VALUE(3, "past", "Past"),
    VALUE(4, "perceived", "Perceived"),
};

static const struct codebook_value visibility[] = {
    RANKED(1, 1, "public", "Public"),
    RANKED(2, 3, "confidential", "Confidential"),
    RANKED(3, 2, "unknown", "Not known"),
};

/* --- Actions, evidence, follow-up --------------------------------------------------------- */

static const struct codebook_value actor_side[] = {
    VALUE(1, "victim_or_representative", "Victim or representative"),
    VALUE(2, "un", "United Nations"),
    VALUE(3, "government", "Government"),
    VALUE(4, "nhri", "National human rights institution"),
    VALUE(5, "civil_society", "Civil society"),
    VALUE(6, "other_state", "Another State"),
    VALUE(7, "court", "Court"),
    VALUE(8, "other", "Other"),
};

static const struct codebook_value victim_action[] = {
    VALUE(1, "complaint_to_police", "Complaint to the police"),
    VALUE(2, "court", "Went to court"),
    VALUE(3, "nhri", "Went to the national institution"),
    VALUE(4, "media", "Went to the media"),
    VALUE(5, "relocation", "Moved elsewhere"),
    VALUE(6, "other", "Other"),
};

static const struct codebook_value un_action[] = {
    VALUE(1, "allegation_letter", "Allegation letter"),
    VALUE(2, "urgent_appeal", "Urgent appeal"),
    VALUE(3, "other_communication", "Other communication"),
    VALUE(4, "public_statement", "Public statement"),
    VALUE(5, "press_release", "Press release"),
    VALUE(6, "meeting_with_authorities", "Meeting with the authorities"),
    VALUE(7, "note_verbale", "Note verbale"),
    VALUE(8, "letter_from_council_president", "Letter from the President of the Council"),
    VALUE(9, "treaty_body_letter", "Letter from a treaty body"),
    VALUE(10, "interim_measures", "Interim measures"),
    VALUE(11, "opinion_wgad", "Opinion of the Working Group on Arbitrary Detention"),
    VALUE(12, "trial_observation", "Trial observation"),
    VALUE(13, "prison_visit", "Prison visit"),
    VALUE(14, "protection_support", "Support for protection"),
    VALUE(15, "relocation_support", "Support for relocation"),
    VALUE(16, "referral", "Referral"),
    VALUE(17, "included_in_sg_report", "Included in the Secretary-General's report"),
    VALUE(18, "other", "Other"),
};

static const struct codebook_value un_action_confidential[] = {
    VALUE(1, "quiet_diplomacy", "Quiet diplomacy"),
    VALUE(2, "other", "Other"),
};

static const struct codebook_value government_action[] = {
    VALUE(1, "favourable", "Favourable response"),
    VALUE(2, "pledge", "Pledge"),
    VALUE(3, "counter_allegation", "Counter-allegation"),
    VALUE(4, "request_for_information", "Request for information"),
    VALUE(5, "token_response", "Token response"),
    VALUE(6, "no_response", "No response"),
    VALUE(7, "investigation_opened", "Investigation opened"),
    VALUE(8, "charges_dropped", "Charges dropped"),
    VALUE(9, "release", "Release"),
    VALUE(10, "conviction_of_perpetrator", "Conviction of a perpetrator"),
    VALUE(11, "law_changed", "Law changed"),
    VALUE(12, "denial", "Denial"),
};

static const struct codebook_value impact[] = {
    RANKED(1, 5, "strong_positive", "Strongly positive"),
    RANKED(2, 4, "some_positive", "Somewhat positive"),
    RANKED(3, 3, "none", "None"),
    RANKED(4, 2, "some_negative", "Somewhat negative"),
    RANKED(5, 1, "strong_negative", "Strongly negative"),
    RANKED(6, 0, "unknown", "Not known"),
};

static const struct codebook_value action_status[] = {
    VALUE(1, "pending", "Pending"),
    VALUE(2, "continuing", "Continuing"),
    VALUE(3, "token", "Token"),
    VALUE(4, "none", "None"),
    VALUE(5, "closed", "Closed"),
};

static const struct codebook_value derivation[] = {
    VALUE(1, "original", "Original"),
    VALUE(2, "working_copy", "Working copy"),
    VALUE(3, "redacted", "Redacted version"),
    VALUE(4, "thumbnail", "Thumbnail"),
    VALUE(5, "transcript", "Transcript"),
    VALUE(6, "translation", "Translation"),
};

static const struct codebook_value custody_event[] = {
    VALUE(1, "received", "Received"),
    VALUE(2, "copied", "Copied"),
    VALUE(3, "opened", "Opened"),
    VALUE(4, "exported", "Exported"),
    VALUE(5, "redacted", "Redacted"),
};

static const struct codebook_value new_development[] = {
    VALUE(1, "further_reprisal", "Further reprisal"),
    VALUE(2, "release", "Release"),
    VALUE(3, "new_charge", "New charge"),
    VALUE(4, "conviction", "Conviction"),
    VALUE(5, "acquittal", "Acquittal"),
    VALUE(6, "sentence_reduced", "Sentence reduced"),
    VALUE(7, "investigation", "Investigation"),
    VALUE(8, "remedy", "Remedy"),
    VALUE(9, "relocation", "Relocation"),
    VALUE(10, "death", "Death"),
    VALUE(11, "situation_unchanged", "Situation unchanged"),
    VALUE(12, "contact_lost", "Contact lost"),
    VALUE(13, "withdrew", "Withdrew"),
    VALUE(14, "government_reply", "Reply of the Government"),
    VALUE(15, "no_information", "No information"),
};

static const struct codebook_value annex_decision[] = {
    VALUE(1, "pending", "Pending"),
    VALUE(2, "included", "Included"),
    VALUE(3, "not_included", "Not included"),
};

/* --- Persons and consents ----------------------------------------------------------------- */

static const struct codebook_value counting_unit[] = {
    VALUE(1, "individual", "Individual"),
    VALUE(2, "family", "Family"),
    VALUE(3, "group_or_organisation", "Group, organisation or institution"),
    VALUE(4, "community", "Community"),
    VALUE(5, "social_group", "Social group"),
    VALUE(6, "people_in_general", "People in general"),
};

static const struct codebook_value gender[] = {
    VALUE(1, "woman", "Woman"),
    VALUE(2, "man", "Man"),
    VALUE(3, "non_binary", "Non-binary"),
    VALUE(4, "other", "Other"),
    VALUE(5, "unknown", "Not known"),
    VALUE(6, "not_applicable", "Not applicable"),
};

static const struct codebook_value yes_no_unknown[] = {
    VALUE(1, "yes", "Yes"),
    VALUE(2, "no", "No"),
    VALUE(3, "unknown", "Not known"),
};

static const struct codebook_value age_group[] = {
    VALUE(1, "child_under_18", "Child, under 18"),
    VALUE(2, "youth_18_24", "Youth, 18 to 24"),
    VALUE(3, "adult", "Adult"),
    VALUE(4, "older_60_plus", "Older person, 60 and over"),
    VALUE(5, "unknown", "Not known"),
};

static const struct codebook_value role[] = {
    VALUE(1, "human_rights_defender", "Human rights defender"),
    VALUE(2, "journalist_media", "Journalist or media worker"),
    VALUE(3, "lawyer", "Lawyer"),
    VALUE(4, "judge_judicial_officer", "Judge or judicial officer"),
    VALUE(5, "trade_unionist", "Trade unionist"),
    VALUE(6, "victim_of_violation", "Victim of a violation"),
    VALUE(7, "witness", "Witness"),
    VALUE(8, "family_member", "Family member"),
    VALUE(9, "civil_society_staff", "Civil society staff"),
    VALUE(10, "indigenous_representative", "Indigenous representative"),
    VALUE(11, "nhri_member", "Member of a national human rights institution"),
    VALUE(12, "npm_member", "Member of a national preventive mechanism"),
    VALUE(13, "parliamentarian", "Parliamentarian"),
    VALUE(14, "academic", "Academic"),
    VALUE(15, "religious_actor", "Religious actor"),
    VALUE(16, "health_worker", "Health worker"),
    VALUE(17, "un_staff", "UN staff"),
    VALUE(18, "mandate_holder", "Mandate holder"),
    VALUE(19, "youth_activist", "Youth activist"),
    VALUE(20, "environmental_defender", "Environmental defender"),
    VALUE(21, "peacebuilder", "Peacebuilder"),
    VALUE(22, "other", "Other"),
};

static const struct codebook_value vulnerability[] = {
    VALUE(1, "disability", "Disability"),
    VALUE(2, "chronic_illness", "Chronic illness"),
    VALUE(3, "pregnancy", "Pregnancy"),
    VALUE(4, "elderly", "Old age"),
    VALUE(5, "child", "Child"),
    VALUE(6, "ethnic_minority", "Ethnic minority"),
    VALUE(7, "religious_minority", "Religious minority"),
    VALUE(8, "linguistic_minority", "Linguistic minority"),
    VALUE(9, "indigenous", "Indigenous"),
    VALUE(10, "migrant", "Migrant"),
    VALUE(11, "refugee_or_asylum_seeker", "Refugee or asylum seeker"),
    VALUE(12, "internally_displaced", "Internally displaced"),
    VALUE(13, "stateless", "Stateless"),
    VALUE(14, "lgbtiq_person", "LGBTIQ+ person"),
    VALUE(15, "rural_or_remote", "Lives in a rural or remote place"),
    VALUE(16, "extreme_poverty", "Extreme poverty"),
    VALUE(17, "sole_caregiver", "Sole caregiver"),
    VALUE(18, "deprived_of_liberty", "Deprived of liberty"),
    VALUE(19, "survivor_of_violence", "Survivor of violence"),
    VALUE(20, "political_opposition", "Political opposition"),
    VALUE(21, "other", "Other"),
};

static const struct codebook_value contact_channel[] = {
    VALUE(1, "phone", "Phone"),
    VALUE(2, "secure_messenger", "Secure messenger"),
    VALUE(3, "email", "Email"),
    VALUE(4, "post", "Post"),
    VALUE(5, "in_person", "In person"),
    VALUE(6, "through_intermediary", "Through an intermediary"),
    VALUE(7, "other", "Other"),
};

static const struct codebook_value person_situation[] = {
    VALUE(1, "safe", "Safe"),
    VALUE(2, "at_risk", "At risk"),
    VALUE(3, "in_hiding", "In hiding"),
    VALUE(4, "relocated", "Relocated"),
    VALUE(5, "detained", "Detained"),
    VALUE(6, "released", "Released"),
    VALUE(7, "convicted", "Convicted"),
    VALUE(8, "missing", "Missing"),
    VALUE(9, "deceased", "Deceased"),
    VALUE(10, "unknown", "Not known"),
};

static const struct codebook_value relation_to_victim[] = {
    VALUE(1, "self", "Is the primary victim"),
    VALUE(2, "spouse_or_partner", "Spouse or partner"),
    VALUE(3, "parent", "Parent"),
    VALUE(4, "child", "Child"),
    VALUE(5, "sibling", "Sibling"),
    VALUE(6, "other_relative", "Other relative"),
    VALUE(7, "guardian", "Guardian"),
    VALUE(8, "friend", "Friend"),
    VALUE(9, "colleague", "Colleague"),
    VALUE(10, "client", "Client"),
    VALUE(11, "lawyer", "Lawyer"),
    VALUE(12, "neighbour", "Neighbour"),
    VALUE(13, "member_of_same_organisation", "Member of the same organisation"),
    VALUE(14, "community_member", "Member of the community"),
    VALUE(15, "other", "Other"),
    VALUE(16, "unknown", "Not known"),
};

static const struct codebook_value name_type[] = {
    VALUE(1, "full_name", "Full name"),
    VALUE(2, "alias", "Alias"),
    VALUE(3, "former_name", "Former name"),
    VALUE(4, "transliteration", "Transliteration"),
    VALUE(5, "organisation_name", "Name of an organisation"),
    VALUE(6, "other", "Other"),
};

static const struct codebook_value consent_giver[] = {
    VALUE(1, "self", "The person"),
    VALUE(2, "guardian", "Guardian"),
    VALUE(3, "family_member", "Family member"),
    VALUE(4, "legal_representative", "Legal representative"),
};

static const struct codebook_value consent_scope[] = {
    VALUE(1, "record_in_system", "Record in the system"),
    VALUE(2, "share_with_hq", "Share with headquarters"),
    VALUE(3, "share_with_special_procedures", "Share with special procedures"),
    VALUE(4, "share_with_treaty_body", "Share with a treaty body"),
    VALUE(5, "share_with_unct_or_mission", "Share with the country team or a mission"),
    VALUE(6, "raise_with_government", "Raise with the Government"),
    VALUE(7, "publish_named", "Publish with the name"),
    VALUE(8, "publish_anonymised", "Publish without the name"),
    VALUE(9, "count_only", "Count only"),
    VALUE(10, "media", "Media"),
    VALUE(11, "contact_again", "Contact again"),
};

static const struct codebook_value consent_decision[] = {
    RANKED(1, 1, "granted", "Granted"),
    RANKED(2, 4, "refused", "Refused"),
    RANKED(3, 5, "withdrawn", "Withdrawn"),
    RANKED(4, 3, "expired", "Expired"),
    RANKED(5, 2, "unknown", "Not known"),
};

static const struct codebook_value consent_manner[] = {
    VALUE(1, "oral", "Orally"),
    VALUE(2, "written", "In writing"),
    VALUE(3, "recorded", "Recorded"),
    VALUE(4, "message", "By message"),
};

/* --- Sources ------------------------------------------------------------------------------ */

static const struct codebook_value source_type[] = {
    VALUE(1, "victim", "Victim"),
    VALUE(2, "relative", "Relative"),
    VALUE(3, "witness", "Witness"),
    VALUE(4, "friend_or_colleague", "Friend or colleague"),
    VALUE(5, "lawyer", "Lawyer"),
    VALUE(6, "victims_organisation", "The victim's organisation"),
    VALUE(7, "national_ngo", "National NGO"),
    VALUE(8, "international_ngo", "International NGO"),
    VALUE(9, "nhri_or_npm", "National human rights institution or preventive mechanism"),
    VALUE(10, "journalist_or_media", "Journalist or media"),
    VALUE(11, "community_or_religious_leader", "Community or religious leader"),
    VALUE(12, "health_professional", "Health professional"),
    VALUE(13, "un_entity", "UN entity"),
    VALUE(14, "government_official", "Government official"),
    VALUE(15, "court_or_official_record", "Court or official record"),
    VALUE(16, "academic", "Academic"),
    VALUE(17, "diplomatic_mission", "Diplomatic mission"),
    VALUE(18, "social_media_user", "User of social media"),
    VALUE(19, "other", "Other"),
    VALUE(20, "anonymous", "Anonymous"),
};

static const struct codebook_value channel[] = {
    VALUE(1, "email", "Email"),
    VALUE(2, "online_form", "Online form"),
    VALUE(3, "meeting", "Meeting"),
    VALUE(4, "phone", "Phone"),
    VALUE(5, "secure_channel", "Secure channel"),
    VALUE(6, "field_visit", "Field visit"),
    VALUE(7, "letter", "Letter"),
    VALUE(8, "public_source", "Public source"),
};

static const struct codebook_value reliability[] = {
    RANKED(1, 5, "highly_reliable", "Highly reliable"),
    RANKED(2, 4, "likely_reliable", "Likely reliable"),
    RANKED(3, 3, "unsure", "Unsure"),
    RANKED(4, 2, "likely_unreliable", "Likely unreliable"),
    RANKED(5, 1, "highly_unreliable", "Highly unreliable"),
    RANKED(6, 0, "unknown", "Not known"),
};

static const struct codebook_value material_type[] = {
    VALUE(1, "oral_statement", "Oral statement"),
    VALUE(2, "written_statement", "Written statement"),
    VALUE(3, "interview_record", "Record of an interview"),
    VALUE(4, "photograph", "Photograph"),
    VALUE(5, "video", "Video"),
    VALUE(6, "audio_recording", "Audio recording"),
    VALUE(7, "official_document", "Official document"),
    VALUE(8, "court_document", "Court document"),
    VALUE(9, "medical_record", "Medical record"),
    VALUE(10, "press_article", "Press article"),
    VALUE(11, "social_media_post", "Post on social media"),
    VALUE(12, "web_page", "Web page"),
    VALUE(13, "letter_or_email", "Letter or email"),
    VALUE(14, "screenshot", "Screenshot"),
    VALUE(15, "satellite_image", "Satellite image"),
    VALUE(16, "list_or_register", "List or register"),
    VALUE(17, "report", "Report"),
    VALUE(18, "digital_forensic_result", "Result of digital forensics"),
    VALUE(19, "other", "Other"),
};

/* --- What is not bound to a case ---------------------------------------------------------- */

static const struct codebook_value focal_point_role[] = {
    VALUE(1, "entity_focal_point", "Focal point of an entity"),
    VALUE(2, "country_focal_point", "Focal point for a country"),
    VALUE(3, "treaty_body_rapporteur", "Rapporteur of a treaty body"),
    VALUE(4, "mission_component", "Component of a mission"),
    VALUE(5, "nhri_contact", "Contact at a national human rights institution"),
};

static const struct codebook_value practice_category[] = {
    VALUE(1, "prevention", "Prevention"),
    VALUE(2, "protocol", "Protocol"),
    VALUE(3, "risk_assessment", "Risk assessment"),
    VALUE(4, "participation_safety", "Safe participation"),
    VALUE(5, "accreditation", "Accreditation"),
    VALUE(6, "online_safety", "Online safety"),
    VALUE(7, "response", "Response"),
    VALUE(8, "remedy", "Remedy"),
    VALUE(9, "legislation", "Legislation"),
    VALUE(10, "training", "Training"),
    VALUE(11, "public_stance", "Public stance"),
    VALUE(12, "support_fund", "Support fund"),
};

static const struct codebook_value policy_actor[] = {
    VALUE(1, "un_entity", "UN entity"),
    VALUE(2, "treaty_body", "Treaty body"),
    VALUE(3, "hrc", "Human Rights Council"),
    VALUE(4, "ga", "General Assembly"),
    VALUE(5, "security_council", "Security Council"),
    VALUE(6, "state", "State"),
    VALUE(7, "regional_body", "Regional body"),
    VALUE(8, "development_finance", "Development finance institution"),
    VALUE(9, "nhri", "National human rights institution"),
};

static const struct codebook_value instrument[] = {
    VALUE(1, "resolution", "Resolution"),
    VALUE(2, "guideline", "Guideline"),
    VALUE(3, "policy", "Policy"),
    VALUE(4, "protocol", "Protocol"),
    VALUE(5, "law", "Law"),
    VALUE(6, "bill", "Bill"),
    VALUE(7, "decision", "Decision"),
};

static const struct codebook_value effect[] = {
    VALUE(1, "protective", "Protective"),
    VALUE(2, "restrictive", "Restrictive"),
    VALUE(3, "neutral", "Neutral"),
};

static const struct codebook_vocabulary vocabularies[] = {
    VOCABULARY(V_RECORD_KIND, "record_kind", "Kind of record", record_kind),
    VOCABULARY(V_SENSITIVITY, "sensitivity", "Sensitivity", sensitivity),
    VOCABULARY(V_RETENTION_CLASS, "retention_class", "Retention", retention_class),
    VOCABULARY(V_RESTRICTION_REASON, "restriction_reason", "Reason of a restriction", restriction_reason),
    VOCABULARY(V_CASE_KIND, "case_kind", "Kind of case", case_kind),
    VOCABULARY(V_ACT_NATURE, "act_nature", "Intimidation or reprisal", act_nature),
    VOCABULARY(V_SCOPE_BASIS, "scope_basis", "Basis in the resolutions", scope_basis),
    VOCABULARY(V_SCOPE_DECISION, "scope_decision", "Decision on scope", scope_decision),
    VOCABULARY_OF_STEPS(V_CASE_STATUS, "case_status", "Status of a case", case_status, case_steps),
    VOCABULARY(V_URGENCY, "urgency", "Urgency", urgency),
    VOCABULARY(V_VERIFICATION, "verification", "Verification", verification),
    VOCABULARY(V_RISK_LEVEL, "risk_level", "Level of risk", risk_level),
    VOCABULARY(V_CASE_RELATION, "case_relation", "Relation of cases", case_relation),
    VOCABULARY(V_VICTIM_PART, "victim_part", "Part in the case", victim_part),
    VOCABULARY(V_ACT_GROUP, "act_group", "Group of acts", act_group),
    VOCABULARY_IN_GROUPS(V_ACT_TYPE, "act_type", "Type of act", act_type, V_ACT_GROUP),
    VOCABULARY(V_ACT_STAGE, "act_stage", "Stage of an act", act_stage),
    VOCABULARY(V_PLACE_TYPE, "place_type", "Type of place", place_type),
    VOCABULARY(V_PLATFORM_TYPE, "platform_type", "Type of platform", platform_type),
    VOCABULARY(V_LEGAL_BASIS, "legal_basis", "Legal basis invoked", legal_basis),
    VOCABULARY(V_ACT_METHOD, "act_method", "Method", act_method),
    VOCABULARY(V_PHYSICAL_CONSEQUENCE, "physical_consequence", "Physical consequence", physical_consequence),
    VOCABULARY(V_PSYCHOLOGICAL_CONSEQUENCE, "psychological_consequence", "Psychological consequence",
               psychological_consequence),
    VOCABULARY(V_DETENTION_TYPE, "detention_type", "Type of detention", detention_type),
    VOCABULARY(V_WHEREABOUTS, "whereabouts", "Whereabouts", whereabouts),
    VOCABULARY(V_DETENTION_CONTACT, "detention_contact", "Contact in detention", detention_contact),
    VOCABULARY(V_COUNSEL_ACCESS, "counsel_access", "Access to counsel", counsel_access),
    VOCABULARY(V_ATTRIBUTION, "attribution", "Statement on responsibility", attribution),
    VOCABULARY(V_COOPERATION_LINK, "cooperation_link", "Link to the cooperation", cooperation_link),
    VOCABULARY(V_ACTOR_TYPE, "actor_type", "Type of perpetrator", actor_type),
    VOCABULARY(V_STATE_OR_NON_STATE, "state_or_non_state", "State or non-State", state_or_non_state),
    VOCABULARY(V_INVOLVEMENT, "involvement", "Involvement", involvement),
    VOCABULARY(V_PERPETRATOR_STATUS, "perpetrator_status", "Status of a perpetrator", perpetrator_status),
    VOCABULARY(V_UN_ACTOR, "un_actor", "UN actor", un_actor),
    VOCABULARY(V_COOPERATION_FORM, "cooperation_form", "Form of cooperation", cooperation_form),
    VOCABULARY(V_COOPERATION_STATE, "cooperation_state", "State of cooperation", cooperation_state),
    VOCABULARY(V_VISIBILITY, "visibility", "Visibility of the cooperation", visibility),
    VOCABULARY(V_ACTOR_SIDE, "actor_side", "Who acted", actor_side),
    VOCABULARY(V_VICTIM_ACTION, "victim_action", "Action by the victim", victim_action),
    VOCABULARY(V_UN_ACTION, "un_action", "Action by the UN", un_action),
    VOCABULARY(V_UN_ACTION_CONFIDENTIAL, "un_action_confidential", "Confidential action by the UN",
               un_action_confidential),
    VOCABULARY(V_GOVERNMENT_ACTION, "government_action", "Action by the Government", government_action),
    VOCABULARY(V_IMPACT, "impact", "Impact on the situation", impact),
    VOCABULARY(V_ACTION_STATUS, "action_status", "Status of an action", action_status),
    VOCABULARY(V_DERIVATION, "derivation", "Original or derived", derivation),
    VOCABULARY(V_CUSTODY_EVENT, "custody_event", "Custody event", custody_event),
    VOCABULARY(V_NEW_DEVELOPMENT, "new_development", "New development", new_development),
    VOCABULARY(V_ANNEX_DECISION, "annex_decision", "Decision on annex II", annex_decision),
    VOCABULARY(V_COUNTING_UNIT, "counting_unit", "Counting unit", counting_unit),
    VOCABULARY(V_GENDER, "gender", "Gender", gender),
    VOCABULARY(V_YES_NO_UNKNOWN, "yes_no_unknown", "Yes or no", yes_no_unknown),
    VOCABULARY(V_AGE_GROUP, "age_group", "Age group", age_group),
    VOCABULARY(V_ROLE, "role", "Role", role),
    VOCABULARY(V_VULNERABILITY, "vulnerability", "Vulnerability", vulnerability),
    VOCABULARY(V_CONTACT_CHANNEL, "contact_channel", "Channel of contact", contact_channel),
    VOCABULARY(V_PERSON_SITUATION, "person_situation", "Situation of a person", person_situation),
    VOCABULARY(V_RELATION_TO_VICTIM, "relation_to_victim", "Relation to the primary victim", relation_to_victim),
    VOCABULARY(V_NAME_TYPE, "name_type", "Type of name", name_type),
    VOCABULARY(V_CONSENT_GIVER, "consent_giver", "Giver of consent", consent_giver),
    VOCABULARY(V_CONSENT_SCOPE, "consent_scope", "Scope of consent", consent_scope),
    VOCABULARY(V_CONSENT_DECISION, "consent_decision", "Decision on consent", consent_decision),
    VOCABULARY(V_CONSENT_MANNER, "consent_manner", "How consent was obtained", consent_manner),
    VOCABULARY(V_SOURCE_TYPE, "source_type", "Type of source", source_type),
    VOCABULARY(V_CHANNEL, "channel", "Channel", channel),
    VOCABULARY(V_RELIABILITY, "reliability", "Reliability", reliability),
    VOCABULARY(V_MATERIAL_TYPE, "material_type", "Type of material", material_type),
    VOCABULARY(V_FOCAL_POINT_ROLE, "focal_point_role", "Role of a focal point", focal_point_role),
    VOCABULARY(V_PRACTICE_CATEGORY, "practice_category", "Category of good practice", practice_category),
    VOCABULARY(V_POLICY_ACTOR, "policy_actor", "Actor of a policy development", policy_actor),
    VOCABULARY(V_INSTRUMENT, "instrument", "Instrument", instrument),
    VOCABULARY(V_EFFECT, "effect", "Effect", effect),
    VOCABULARY(V_GATE, "gate", "Review gate", gate),
    VOCABULARY(V_GATE_DECISION, "gate_decision", "Decision at a gate", gate_decision),
    VOCABULARY(V_AUDIT_OPERATION, "audit_operation", "What somebody did", audit_operation),
    VOCABULARY(V_EXPOSURE, "exposure", "What got into other hands", exposure),
    VOCABULARY(V_NOT_SAME_REASON, "not_same_reason", "Why two records are not one", not_same_reason),
};

/* --- Collections -------------------------------------------------------------------------- */

enum {
    APPEND = COLLECTION_APPEND_ONLY,
    SET    = COLLECTION_SET,
    KEYED  = COLLECTION_KEYED
};

static const struct codebook_collection collections[] = {
    { NOTE, "note", "Notes", EVERY, APPEND, LEVEL_L2 },
    { LINK, "link", "Links", EVERY, 0, LEVEL_L2 },
    { ATTACHMENT, "attachment", "Attachments", EVERY, 0, LEVEL_L2 },
    { SAME_AS, "same_as", "Same as", EVERY, 0, LEVEL_L2 },
    { RESTRICTION, "restriction", "Restrictions", EVERY, 0, LEVEL_L1 },
    { ACT, "act", "Acts", CASE, 0, LEVEL_L1 },
    { VICTIM, "victim", "Victims and associated persons", CASE, 0, LEVEL_L1 },
    { SOURCE_REF, "source_ref", "Sources", CASE, SET, LEVEL_L2 },
    { COUNTRY_OF_ACT, "country_of_act", "Countries where it happened", CASE, SET, LEVEL_L1 },
    { COUNTRY_ALLEGED_RESPONSIBLE, "country_alleged_responsible", "States alleged to be responsible", CASE, SET,
      LEVEL_L1 },
    { SCOPE_BASIS, "scope_basis", "Bases in the resolutions", CASE, SET, LEVEL_L1 },
    { NARRATIVE, "narrative", "Narratives", CASE, KEYED, LEVEL_L2 },
    { NARRATIVE_PUBLIC, "narrative_public", "Public narratives", CASE, KEYED, LEVEL_L2 },
    { PERPETRATOR, "perpetrator", "Alleged perpetrators", CASE, 0, LEVEL_L1 },
    { COOPERATION, "cooperation", "UN cooperation", CASE, 0, LEVEL_L1 },
    { ACTION, "action", "Actions taken", CASE, 0, LEVEL_L1 },
    { EVIDENCE, "evidence", "Evidence", CASE, 0, LEVEL_L2 },
    { CUSTODY, "custody", "Custody of evidence", CASE, APPEND, LEVEL_L2 },
    { FOLLOW_UP, "follow_up", "Follow-ups", CASE, 0, LEVEL_L1 },
    { LINKED_CASE, "linked_case", "Linked cases", CASE, 0, LEVEL_L2 },
    { EARLIER_REPORT, "earlier_report", "Earlier reports", CASE, APPEND, LEVEL_L0 },
    { CONSENT, "consent", "Consents", PERSON, APPEND, LEVEL_L2 },
    { ROLES, "roles", "Roles", PERSON, SET, LEVEL_L1 },
    { NAME, "name", "Names", PERSON, 0, LEVEL_L3 },
    { IDENTITY_DOCUMENT, "identity_document", "Identity documents", PERSON, SET, LEVEL_L3 },
    { NATIONALITY, "nationality", "Nationalities", PERSON, SET, LEVEL_L2 },
    { COUNTRY_OF_RESIDENCE, "country_of_residence", "Countries of residence", PERSON, SET, LEVEL_L2 },
    { VULNERABILITY, "vulnerability", "Vulnerabilities", PERSON, SET, LEVEL_L2 },
    { CONTACT, "contact", "Contacts", PERSON, 0, LEVEL_L3 },
    { INDEPENDENT_OF, "independent_of", "Independent of these sources", SOURCE, SET, LEVEL_L3 },
    { LANGUAGES, "languages", "Languages", FOCAL, SET, LEVEL_L1 },
    { COUNTRY, "country", "Countries", FOCAL | PRACTICE | POLICY, SET, LEVEL_L1 },
    { REVIEW, "review", "Review gates", CASE, APPEND, LEVEL_L1 },
    { EVENT, "event", "Events", AUDIT, APPEND, LEVEL_L1 },
    { CONSENT_OVERRIDE, "consent_override", "Overrides of consent", CASE, APPEND, LEVEL_L2 },
    { ACKNOWLEDGEMENT, "acknowledgement", "Acknowledgements", CASE, APPEND, LEVEL_L1 },
    { LOWERING, "lowering", "Lowerings of the urgency", CASE, APPEND, LEVEL_L2 },
    { NOT_SAME_AS, "not_same_as", "Not the same as", CASE | PERSON, KEYED, LEVEL_L2 },
    { IMPORTED_FROM, "imported_from", "Where it was imported from", EVERY & ~(STUB | AUDIT | SNAPSHOT), KEYED, LEVEL_L1 },
    { FRONTIER, "frontier", "Ends of the logs", SNAPSHOT, APPEND, LEVEL_L1 },
    { VERSIONS, "versions", "Record versions", SNAPSHOT, APPEND, LEVEL_L1 },
    { FIGURES, "figures", "Figures", SNAPSHOT, APPEND, LEVEL_L1 },
};

/* --- Fields ------------------------------------------------------------------------------- */

enum {
    REQ   = FIELD_REQUIRED,
    IDX   = FIELD_INDEXED,
    LIST  = FIELD_LISTED,
    ONCE  = FIELD_ONCE,
    STAGE = FIELD_STAGE
};

/* number, name, label, collection, kinds, type, vocabulary, level, policy, flags, target, stage: the status from which on it
 * must be filled in, when the case takes a step of its way */
static const struct codebook_field fields[] = {
    { FIELD_KIND, "record_kind", "Kind of record", 0, EVERY, TYPE_CODE, V_RECORD_KIND, LEVEL_L1, MERGE_SURFACE, ONCE | IDX | LIST, 0, 0 },
    { 2, "number", "Number", 0, CASE | PERSON | SOURCE, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, LIST, 0, 0 },
    { 3, "title", "Title", 0, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, REQ | LIST, 0, 2 },
    { 4, "status", "Status", 0, CASE, TYPE_CODE, V_CASE_STATUS, LEVEL_L1, MERGE_SURFACE, REQ | IDX | LIST | STAGE, 0, 0 },
    { 5, "urgency", "Urgency", 0, CASE, TYPE_CODE, V_URGENCY, LEVEL_L1, MERGE_MAX, REQ | IDX | LIST, 0, 2 },
    { 6, "verification", "Verification", 0, CASE, TYPE_CODE, V_VERIFICATION, LEVEL_L1, MERGE_PROTECTIVE, REQ | IDX | LIST, 0, 5 },
    { 7, "kind", "Kind of case", 0, CASE, TYPE_CODE, V_CASE_KIND, LEVEL_L1, MERGE_SURFACE, REQ | IDX | LIST, 0, 4 },
    { 8, "act_nature", "Intimidation or reprisal", 0, CASE, TYPE_CODE, V_ACT_NATURE, LEVEL_L1, MERGE_SURFACE, REQ | IDX, 0, 4 },
    { 9, "transnational", "Transnational", 0, CASE, TYPE_BOOL, 0, LEVEL_L1, MERGE_SURFACE, REQ | IDX, 0, 5 },
    { 10, "risk_level", "Level of risk", 0, CASE, TYPE_CODE, V_RISK_LEVEL, LEVEL_L2, MERGE_MAX, REQ | IDX, 0, 5 },
    { 11, "reporting_window", "Reporting window", 0, CASE | PRACTICE | POLICY | STUB, TYPE_RECORD, 0, LEVEL_L1, MERGE_SURFACE, REQ | IDX, KIND_REPORTING_WINDOW, 6 },
    { 12, "act.type_of_act", "Type of act", ACT, CASE, TYPE_CODE, V_ACT_TYPE, LEVEL_L1, MERGE_SURFACE, REQ | IDX, 0, 4 },
    { 13, "act.stage", "Stage", ACT, CASE, TYPE_CODE, V_ACT_STAGE, LEVEL_L1, MERGE_PROTECTIVE, REQ | IDX, 0, 5 },
    { 14, "act.date_from", "From", ACT, CASE, TYPE_DATE, 0, LEVEL_L2, MERGE_SURFACE, IDX, 0, 0 },
    { 15, "act.victim", "Victims", ACT, CASE, TYPE_RECORD, 0, LEVEL_L2, MERGE_UNION, IDX, KIND_PERSON, 0 },
    { 16, "act.verification", "Verification", ACT, CASE, TYPE_CODE, V_VERIFICATION, LEVEL_L1, MERGE_PROTECTIVE, REQ | IDX, 0, 5 },
    { 17, "country_of_act", "Country where it happened", COUNTRY_OF_ACT, CASE, TYPE_COUNTRY, 0, LEVEL_L1, MERGE_SURFACE, REQ | IDX | LIST, 0, 2 },
    { 18, "country_alleged_responsible", "State alleged to be responsible", COUNTRY_ALLEGED_RESPONSIBLE, CASE, TYPE_COUNTRY, 0, LEVEL_L1, MERGE_SURFACE, REQ | IDX | LIST, 0, 5 },
    { 19, "scope_basis", "Basis in the resolutions", SCOPE_BASIS, CASE, TYPE_CODE, V_SCOPE_BASIS, LEVEL_L1, MERGE_SURFACE, REQ, 0, 4 },
    { 20, "narrative.language", "Language", NARRATIVE, CASE, TYPE_LANGUAGE, 0, LEVEL_L2, MERGE_SURFACE, REQ, 0, 0 },
    { 21, "narrative.text", "Narrative", NARRATIVE, CASE, TYPE_LONG_TEXT, 0, LEVEL_L2, MERGE_SURFACE, REQ, 0, 4 },
    { 22, "note.text", "Note", NOTE, EVERY, TYPE_LONG_TEXT, 0, LEVEL_L2, MERGE_SURFACE, REQ, 0, 0 },
    { 23, "note.date", "Date", NOTE, EVERY, TYPE_DATE, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },

    /* every record */
    { 24, "archived", "Archived", 0, EVERY, TYPE_BOOL, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 25, "language", "Language of the record", 0, EVERY, TYPE_LANGUAGE, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 26, "sensitivity_default", "Sensitivity of what has none", 0, EVERY, TYPE_CODE, V_SENSITIVITY, LEVEL_L1, MERGE_PROTECTIVE, 0, 0, 0 },
    { 27, "retention_class", "Retention", 0, EVERY, TYPE_CODE, V_RETENTION_CLASS, LEVEL_L1, MERGE_LATEST, 0, 0, 0 },
    { 28, "link.record", "Record", LINK, EVERY, TYPE_RECORD, 0, LEVEL_L2, MERGE_SURFACE, REQ, 0, 0 },
    { 29, "link.meaning", "What the link means", LINK, EVERY, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 30, "attachment.file", "File", ATTACHMENT, EVERY, TYPE_BLOB, 0, LEVEL_L2, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 31, "attachment.file_name", "File name", ATTACHMENT, EVERY, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 32, "attachment.media_type", "Media type", ATTACHMENT, EVERY, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 33, "attachment.size", "Size in bytes", ATTACHMENT, EVERY, TYPE_INTEGER, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 34, "attachment.caption", "Caption", ATTACHMENT, EVERY, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 35, "same_as.record", "Same record", SAME_AS, EVERY, TYPE_RECORD, 0, LEVEL_L2, MERGE_SURFACE, REQ | IDX, 0, 0 },
    { 36, "restriction.reason", "Reason", RESTRICTION, EVERY, TYPE_CODE, V_RESTRICTION_REASON, LEVEL_L1, MERGE_SURFACE, REQ, 0, 0 },
    { 37, "restriction.until", "Until", RESTRICTION, EVERY, TYPE_DATE, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 38, "restriction.note", "Note", RESTRICTION, EVERY, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },

    /* case */
    { 40, "public_ref", "Reference in the report", 0, CASE, TYPE_TEXT, 0, LEVEL_L0, MERGE_SURFACE, LIST, 0, 0 },
    { 41, "scope_decision", "Decision on scope", 0, CASE, TYPE_CODE, V_SCOPE_DECISION, LEVEL_L2, MERGE_SURFACE, IDX, 0, 8 },
    { 42, "scope_reason", "Reason of that decision", 0, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 43, "contextual_notes", "Context", 0, CASE, TYPE_LONG_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 44, "urgency_reason", "Reason of the urgency", 0, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 45, "urgency_reviewer", "Reviewer of the urgency", 0, CASE, TYPE_ACTOR, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 46, "risk_note", "Note on the risk", 0, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 47, "owner_office", "Office in charge", 0, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, REQ | LIST, 0, 0 },
    { 48, "case_officer", "Case officer", 0, CASE, TYPE_ACTOR, 0, LEVEL_L3, MERGE_SURFACE, REQ, 0, 0 },
    { 49, "retention_until", "Keep until", 0, CASE, TYPE_DATE, 0, LEVEL_L1, MERGE_LATEST, REQ, 0, 0 },
    { 50, "narrative_public.language", "Language", NARRATIVE_PUBLIC, CASE, TYPE_LANGUAGE, 0, LEVEL_L2, MERGE_SURFACE, REQ, 0, 0 },
    { 51, "narrative_public.text", "Public narrative", NARRATIVE_PUBLIC, CASE, TYPE_LONG_TEXT, 0, LEVEL_L2, MERGE_SURFACE, REQ, 0, 10 },
    { 52, "narrative_public.cleared", "Cleared for publication", NARRATIVE_PUBLIC, CASE, TYPE_BOOL, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 53, "victim.person", "Person", VICTIM, CASE, TYPE_RECORD, 0, LEVEL_L2, MERGE_SURFACE, REQ | IDX, KIND_PERSON, 0 },
    { 54, "victim.part", "Part in the case", VICTIM, CASE, TYPE_CODE, V_VICTIM_PART, LEVEL_L1, MERGE_SURFACE, IDX, 0, 0 },
    { 55, "source_ref", "Source", SOURCE_REF, CASE, TYPE_RECORD, 0, LEVEL_L2, MERGE_SURFACE, IDX, KIND_SOURCE, 0 },
    { 56, "linked_case.case", "Case", LINKED_CASE, CASE, TYPE_RECORD, 0, LEVEL_L2, MERGE_SURFACE, REQ, KIND_CASE, 0 },
    { 57, "linked_case.relation", "Relation", LINKED_CASE, CASE, TYPE_CODE, V_CASE_RELATION, LEVEL_L2, MERGE_SURFACE, REQ, 0, 0 },
    { 58, "earlier_report.symbol", "Symbol", EARLIER_REPORT, CASE, TYPE_TEXT, 0, LEVEL_L0, MERGE_SURFACE, REQ | LIST, 0, 0 },
    { 59, "earlier_report.year", "Year", EARLIER_REPORT, CASE, TYPE_INTEGER, 0, LEVEL_L0, MERGE_SURFACE, 0, 0, 0 },
    { 60, "earlier_report.paragraph", "Paragraph or annex", EARLIER_REPORT, CASE, TYPE_TEXT, 0, LEVEL_L0, MERGE_SURFACE, 0, 0, 0 },

    /* act: 12 to 16 too */
    { 64, "act.date_to", "To", ACT, CASE, TYPE_DATE, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 65, "act.admin_area", "Administrative area", ACT, CASE, TYPE_SUBDIVISION, 0, LEVEL_L2, MERGE_SURFACE, REQ, 0, 0 },
    { 66, "act.place_type", "Type of place", ACT, CASE, TYPE_CODE, V_PLACE_TYPE, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 67, "act.place", "Place", ACT, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 68, "act.coordinates", "Coordinates", ACT, CASE, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 69, "act.online", "Online", ACT, CASE, TYPE_BOOL, 0, LEVEL_L1, MERGE_SURFACE, IDX, 0, 0 },
    { 70, "act.platform_type", "Type of platform", ACT, CASE, TYPE_CODE, V_PLATFORM_TYPE, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 71, "act.at_un_premises_or_event", "On UN premises or at a UN event", ACT, CASE, TYPE_BOOL, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 72, "act.legal_basis", "Legal basis invoked", ACT, CASE, TYPE_CODE, V_LEGAL_BASIS, LEVEL_L1, MERGE_UNION, IDX, 0, 0 },
    { 73, "act.legal_basis_note", "Law and article", ACT, CASE, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 74, "act.stated_reason", "Reason stated by the authorities", ACT, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 75, "act.method", "Method", ACT, CASE, TYPE_CODE, V_ACT_METHOD, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 76, "act.method_note", "Note on the method", ACT, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 77, "act.physical_consequence", "Physical consequence", ACT, CASE, TYPE_CODE, V_PHYSICAL_CONSEQUENCE, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 78, "act.psychological_consequence", "Psychological consequence", ACT, CASE, TYPE_CODE, V_PSYCHOLOGICAL_CONSEQUENCE, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 79, "act.consequence_note", "Note on the consequences", ACT, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 80, "act.detention_type", "Type of detention", ACT, CASE, TYPE_CODE, V_DETENTION_TYPE, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 81, "act.detention_whereabouts", "Whereabouts", ACT, CASE, TYPE_CODE, V_WHEREABOUTS, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 82, "act.detention_contact", "Contact in detention", ACT, CASE, TYPE_CODE, V_DETENTION_CONTACT, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 83, "act.detention_counsel", "Access to counsel", ACT, CASE, TYPE_CODE, V_COUNSEL_ACCESS, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 84, "act.attribution", "Statement on responsibility", ACT, CASE, TYPE_CODE, V_ATTRIBUTION, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 85, "act.cooperation", "Cooperation that it answers", ACT, CASE, TYPE_ELEMENT, 0, LEVEL_L2, MERGE_UNION, 0, COOPERATION, 0 },
    { 86, "act.cooperation_link", "Link to the cooperation", ACT, CASE, TYPE_CODE, V_COOPERATION_LINK, LEVEL_L2, MERGE_UNION, REQ, 0, 0 },
    { 87, "act.perpetrator", "Alleged perpetrators", ACT, CASE, TYPE_ELEMENT, 0, LEVEL_L2, MERGE_UNION, 0, PERPETRATOR, 0 },

    /* perpetrator */
    { 96, "perpetrator.actor_type", "Type of perpetrator", PERPETRATOR, CASE, TYPE_CODE, V_ACTOR_TYPE, LEVEL_L1, MERGE_SURFACE, REQ | IDX, 0, 0 },
    { 97, "perpetrator.state_or_non_state", "State or non-State", PERPETRATOR, CASE, TYPE_CODE, V_STATE_OR_NON_STATE, LEVEL_L1, MERGE_SURFACE, REQ | IDX, 0, 0 },
    { 98, "perpetrator.institution", "Institution or unit", PERPETRATOR, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 99, "perpetrator.individual_name", "Name of the individual", PERPETRATOR, CASE, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 100, "perpetrator.degree_of_involvement", "Involvement", PERPETRATOR, CASE, TYPE_CODE, V_INVOLVEMENT, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 101, "perpetrator.latest_status", "Latest status", PERPETRATOR, CASE, TYPE_CODE, V_PERPETRATOR_STATUS, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },

    /* cooperation */
    { 104, "cooperation.un_actor", "UN actors", COOPERATION, CASE, TYPE_CODE, V_UN_ACTOR, LEVEL_L1, MERGE_UNION, REQ | IDX, 0, 5 },
    { 105, "cooperation.mandate", "Mandate", COOPERATION, CASE, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 106, "cooperation.form", "Forms of cooperation", COOPERATION, CASE, TYPE_CODE, V_COOPERATION_FORM, LEVEL_L1, MERGE_UNION, REQ, 0, 5 },
    { 107, "cooperation.state", "State of the cooperation", COOPERATION, CASE, TYPE_CODE, V_COOPERATION_STATE, LEVEL_L1, MERGE_SURFACE, REQ, 0, 5 },
    { 108, "cooperation.date", "Date", COOPERATION, CASE, TYPE_DATE, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 109, "cooperation.place", "Place", COOPERATION, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 110, "cooperation.session", "Session or visit", COOPERATION, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 111, "cooperation.visibility", "Visibility", COOPERATION, CASE, TYPE_CODE, V_VISIBILITY, LEVEL_L3, MERGE_PROTECTIVE, REQ, 0, 0 },

    /* action */
    { 112, "action.actor_side", "Who acted", ACTION, CASE, TYPE_CODE, V_ACTOR_SIDE, LEVEL_L1, MERGE_SURFACE, REQ | ONCE | IDX, 0, 0 },
    { 113, "action.by_victim", "Action by the victim", ACTION, CASE, TYPE_CODE, V_VICTIM_ACTION, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 114, "action.by_un", "Action by the UN", ACTION, CASE, TYPE_CODE, V_UN_ACTION, LEVEL_L1, MERGE_SURFACE, IDX, 0, 0 },
    { 115, "action.by_un_confidential", "Confidential action by the UN", ACTION, CASE, TYPE_CODE, V_UN_ACTION_CONFIDENTIAL, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 116, "action.by_government", "Action by the Government", ACTION, CASE, TYPE_CODE, V_GOVERNMENT_ACTION, LEVEL_L1, MERGE_SURFACE, IDX, 0, 0 },
    { 117, "action.date", "Date", ACTION, CASE, TYPE_DATE, 0, LEVEL_L1, MERGE_SURFACE, REQ | IDX, 0, 0 },
    { 118, "action.symbol", "Symbol", ACTION, CASE, TYPE_TEXT, 0, LEVEL_L0, MERGE_SURFACE, 0, 0, 0 },
    { 119, "action.summary", "Summary", ACTION, CASE, TYPE_LONG_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 120, "action.reply_due", "Reply due", ACTION, CASE, TYPE_DATE, 0, LEVEL_L1, MERGE_SURFACE, IDX, 0, 0 },
    { 121, "action.reply_received", "Reply received", ACTION, CASE, TYPE_DATE, 0, LEVEL_L1, MERGE_SURFACE, IDX, 0, 0 },
    { 122, "action.impact", "Impact on the situation", ACTION, CASE, TYPE_CODE, V_IMPACT, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 123, "action.status", "Status", ACTION, CASE, TYPE_CODE, V_ACTION_STATUS, LEVEL_L1, MERGE_SURFACE, IDX, 0, 0 },
    { 124, "action.already_public", "Already public", ACTION, CASE, TYPE_BOOL, 0, LEVEL_L0, MERGE_SURFACE, REQ, 0, 0 },

    /* evidence and its custody */
    { 128, "evidence.file", "File", EVIDENCE, CASE, TYPE_BLOB, 0, LEVEL_L2, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 129, "evidence.outside_hash", "Hash made elsewhere, with its algorithm", EVIDENCE, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, ONCE, 0, 0 },
    { 130, "evidence.size", "Size in bytes", EVIDENCE, CASE, TYPE_INTEGER, 0, LEVEL_L2, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 131, "evidence.media_type", "Media type", EVIDENCE, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, REQ, 0, 0 },
    { 132, "evidence.file_name", "Original file name", EVIDENCE, CASE, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 133, "evidence.captured_at", "Captured on", EVIDENCE, CASE, TYPE_DATE, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 134, "evidence.captured_by", "Captured by", EVIDENCE, CASE, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 135, "evidence.capture_device", "Captured with", EVIDENCE, CASE, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 136, "evidence.source_url", "Address where it was found", EVIDENCE, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 137, "evidence.capture_method", "Method of capture", EVIDENCE, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 138, "evidence.capture_tool", "Tool of capture and its version", EVIDENCE, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 139, "evidence.derivation", "Original or derived", EVIDENCE, CASE, TYPE_CODE, V_DERIVATION, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 140, "evidence.derived_from", "Derived from", EVIDENCE, CASE, TYPE_ELEMENT, 0, LEVEL_L2, MERGE_SURFACE, 0, EVIDENCE, 0 },
    { 141, "evidence.redaction", "Redactions", EVIDENCE, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_UNION, 0, 0, 0 },
    { 142, "evidence.sensitivity", "Sensitivity", EVIDENCE, CASE, TYPE_CODE, V_SENSITIVITY, LEVEL_L2, MERGE_PROTECTIVE, 0, 0, 0 },
    { 143, "evidence.timestamp_token", "Trusted time stamp", EVIDENCE, CASE, TYPE_BLOB, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 144, "evidence.consent_scope", "Scope of consent", EVIDENCE, CASE, TYPE_CODE, V_CONSENT_SCOPE, LEVEL_L2, MERGE_UNION, 0, 0, 0 },
    { 145, "evidence.retention_until", "Keep until", EVIDENCE, CASE, TYPE_DATE, 0, LEVEL_L2, MERGE_LATEST, 0, 0, 0 },
    { 148, "custody.evidence", "Evidence", CUSTODY, CASE, TYPE_ELEMENT, 0, LEVEL_L2, MERGE_SURFACE, REQ, EVIDENCE, 0 },
    { 149, "custody.event", "Event", CUSTODY, CASE, TYPE_CODE, V_CUSTODY_EVENT, LEVEL_L2, MERGE_SURFACE, REQ, 0, 0 },
    { 150, "custody.date", "Date", CUSTODY, CASE, TYPE_DATE, 0, LEVEL_L2, MERGE_SURFACE, REQ, 0, 0 },
    { 151, "custody.actor", "Who", CUSTODY, CASE, TYPE_ACTOR, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 152, "custody.note", "Note", CUSTODY, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },

    /* follow-up */
    { 156, "follow_up.window", "Reporting window", FOLLOW_UP, CASE, TYPE_RECORD, 0, LEVEL_L1, MERGE_SURFACE, REQ | IDX, KIND_REPORTING_WINDOW, 0 },
    { 157, "follow_up.date", "Date", FOLLOW_UP, CASE, TYPE_DATE, 0, LEVEL_L2, MERGE_SURFACE, REQ | IDX, 0, 0 },
    { 158, "follow_up.new_development", "New developments", FOLLOW_UP, CASE, TYPE_CODE, V_NEW_DEVELOPMENT, LEVEL_L1, MERGE_UNION, REQ | IDX, 0, 0 },
    { 159, "follow_up.narrative", "Narrative", FOLLOW_UP, CASE, TYPE_LOCALISED, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 160, "follow_up.public_text", "Public text", FOLLOW_UP, CASE, TYPE_LOCALISED, 0, LEVEL_L0, MERGE_SURFACE, 0, 0, 0 },
    { 161, "follow_up.annex_ii_proposed", "Proposed for annex II", FOLLOW_UP, CASE, TYPE_BOOL, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 162, "follow_up.annex_ii_decision", "Decision on annex II", FOLLOW_UP, CASE, TYPE_CODE, V_ANNEX_DECISION, LEVEL_L1, MERGE_SURFACE, IDX, 0, 0 },
    { 163, "follow_up.next_review", "Next review", FOLLOW_UP, CASE, TYPE_DATE, 0, LEVEL_L1, MERGE_SURFACE, IDX, 0, 0 },

    /* person or group */
    { 168, "pseudonym", "Pseudonym", 0, PERSON, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE | LIST, 0, 0 },
    { 169, "counting_unit", "Counting unit", 0, PERSON, TYPE_CODE, V_COUNTING_UNIT, LEVEL_L1, MERGE_SURFACE, REQ | IDX | LIST, 0, 0 },
    { 170, "number_of_persons", "Number of persons", 0, PERSON, TYPE_RANGE, 0, LEVEL_L1, MERGE_SURFACE, LIST, 0, 0 },
    { 171, "gender", "Gender", 0, PERSON, TYPE_CODE, V_GENDER, LEVEL_L1, MERGE_SURFACE, REQ | IDX | LIST, 0, 0 },
    { 172, "age_group", "Age group", 0, PERSON, TYPE_CODE, V_AGE_GROUP, LEVEL_L1, MERGE_SURFACE, IDX, 0, 0 },
    { 173, "roles", "Role", ROLES, PERSON, TYPE_CODE, V_ROLE, LEVEL_L1, MERGE_SURFACE, REQ | IDX | LIST, 0, 0 },
    { 174, "current_situation", "Current situation", 0, PERSON, TYPE_CODE, V_PERSON_SITUATION, LEVEL_L2, MERGE_SURFACE, IDX | LIST, 0, 0 },
    { 175, "relation_to_primary_victim", "Relation to the primary victim", 0, PERSON, TYPE_CODE, V_RELATION_TO_VICTIM, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 176, "nationality", "Nationality", NATIONALITY, PERSON, TYPE_COUNTRY, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 177, "country_of_residence", "Country of residence", COUNTRY_OF_RESIDENCE, PERSON, TYPE_COUNTRY, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 178, "vulnerability", "Vulnerability", VULNERABILITY, PERSON, TYPE_CODE, V_VULNERABILITY, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 179, "name.text", "Name", NAME, PERSON, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, REQ, 0, 0 },
    { 180, "name.type", "Type of name", NAME, PERSON, TYPE_CODE, V_NAME_TYPE, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 181, "name.script", "Script", NAME, PERSON, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 182, "lgbtiq_relevance", "LGBTIQ+ relevance", 0, PERSON, TYPE_CODE, V_YES_NO_UNKNOWN, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 183, "birth_date", "Date of birth", 0, PERSON, TYPE_DATE, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 184, "identity_document", "Identity document", IDENTITY_DOCUMENT, PERSON, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 185, "contact.channel", "Channel", CONTACT, PERSON, TYPE_CODE, V_CONTACT_CHANNEL, LEVEL_L3, MERGE_SURFACE, REQ, 0, 0 },
    { 186, "contact.address", "Number or address", CONTACT, PERSON, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, REQ, 0, 0 },
    { 187, "contact.safe_hours", "Safe hours", CONTACT, PERSON, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 188, "contact.note", "Note", CONTACT, PERSON, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 189, "do_not_contact", "Do not contact", 0, PERSON, TYPE_BOOL, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },

    /* consent */
    { 192, "consent.scope", "Scopes", CONSENT, PERSON, TYPE_CODE, V_CONSENT_SCOPE, LEVEL_L2, MERGE_UNION, REQ | ONCE | IDX, 0, 0 },
    { 193, "consent.decision", "Decision", CONSENT, PERSON, TYPE_CODE, V_CONSENT_DECISION, LEVEL_L2, MERGE_PROTECTIVE, REQ | IDX, 0, 0 },
    { 194, "consent.informed_of_risk", "Informed of the risk", CONSENT, PERSON, TYPE_BOOL, 0, LEVEL_L2, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 195, "consent.informed_how", "How the person was informed", CONSENT, PERSON, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, ONCE, 0, 0 },
    { 196, "consent.valid_until", "Valid until", CONSENT, PERSON, TYPE_DATE, 0, LEVEL_L2, MERGE_SURFACE, ONCE | IDX, 0, 0 },
    { 197, "consent.conditions", "Conditions", CONSENT, PERSON, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, ONCE, 0, 0 },
    { 198, "consent.identifiability_concern", "May be recognised even if unnamed", CONSENT, PERSON, TYPE_BOOL, 0, LEVEL_L2, MERGE_MAX, REQ, 0, 0 },
    { 199, "consent.replaces", "Takes the place of", CONSENT, PERSON, TYPE_ELEMENT, 0, LEVEL_L2, MERGE_UNION, ONCE | IDX, CONSENT, 0 },
    { 200, "consent.given_by", "Given by", CONSENT, PERSON, TYPE_CODE, V_CONSENT_GIVER, LEVEL_L3, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 201, "consent.obtained_on", "Obtained on", CONSENT, PERSON, TYPE_DATE, 0, LEVEL_L3, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 202, "consent.obtained_by", "Obtained by", CONSENT, PERSON, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 203, "consent.obtained_how", "How it was obtained", CONSENT, PERSON, TYPE_CODE, V_CONSENT_MANNER, LEVEL_L3, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 204, "consent.language", "Language", CONSENT, PERSON, TYPE_LANGUAGE, 0, LEVEL_L3, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 205, "consent.evidence", "Evidence", CONSENT, PERSON, TYPE_BLOB, 0, LEVEL_L3, MERGE_UNION, 0, 0, 0 },

    /* source */
    { 208, "source_type", "Type of source", 0, SOURCE, TYPE_CODE, V_SOURCE_TYPE, LEVEL_L2, MERGE_SURFACE, REQ | IDX | LIST, 0, 0 },
    { 209, "date_received", "Received on", 0, SOURCE, TYPE_DATE, 0, LEVEL_L2, MERGE_SURFACE, REQ | ONCE | IDX | LIST, 0, 0 },
    { 210, "channel", "Channel", 0, SOURCE, TYPE_CODE, V_CHANNEL, LEVEL_L2, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 211, "reliability_of_source", "Reliability of the source", 0, SOURCE, TYPE_CODE, V_RELIABILITY, LEVEL_L2, MERGE_SURFACE, REQ | LIST, 0, 0 },
    { 212, "validity_of_information", "Validity of the information", 0, SOURCE, TYPE_CODE, V_RELIABILITY, LEVEL_L2, MERGE_SURFACE, REQ, 0, 0 },
    { 213, "material_type", "Type of material", 0, SOURCE, TYPE_CODE, V_MATERIAL_TYPE, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 214, "material_language", "Language of the material", 0, SOURCE, TYPE_LANGUAGE, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 215, "anonymous", "Anonymous", 0, SOURCE, TYPE_BOOL, 0, LEVEL_L2, MERGE_SURFACE, LIST, 0, 0 },
    { 216, "identity", "Identity", 0, SOURCE, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 217, "contact", "Contact", 0, SOURCE, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 218, "independent_of", "Independent of", INDEPENDENT_OF, SOURCE, TYPE_RECORD, 0, LEVEL_L3, MERGE_SURFACE, 0, KIND_SOURCE, 0 },

    /* focal point */
    { 224, "country", "Country", COUNTRY, FOCAL | PRACTICE | POLICY, TYPE_COUNTRY, 0, LEVEL_L1, MERGE_SURFACE, IDX | LIST, 0, 0 },
    { 225, "entity", "Entity", 0, FOCAL | PRACTICE, TYPE_CODE, V_UN_ACTOR, LEVEL_L1, MERGE_SURFACE, IDX | LIST, 0, 0 },
    { 226, "office", "Office", 0, FOCAL, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, LIST, 0, 0 },
    { 227, "global", "Global", 0, FOCAL, TYPE_BOOL, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 228, "role", "Role", 0, FOCAL, TYPE_CODE, V_FOCAL_POINT_ROLE, LEVEL_L1, MERGE_SURFACE, REQ | IDX | LIST, 0, 0 },
    { 229, "function_title", "Function", 0, FOCAL, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, LIST, 0, 0 },
    { 230, "from", "From", 0, FOCAL, TYPE_DATE, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 231, "to", "To", 0, FOCAL, TYPE_DATE, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 232, "languages", "Language", LANGUAGES, FOCAL, TYPE_LANGUAGE, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 233, "last_confirmed", "Last confirmed on", 0, FOCAL | PRACTICE | POLICY, TYPE_DATE, 0, LEVEL_L1, MERGE_SURFACE, IDX | LIST, 0, 0 },
    { 234, "name", "Name", 0, FOCAL, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 235, "contact", "Contact", 0, FOCAL, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 236, "alternate", "Alternate", 0, FOCAL, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },
    { 237, "secure_channel", "Secure channel", 0, FOCAL, TYPE_TEXT, 0, LEVEL_L3, MERGE_SURFACE, 0, 0, 0 },

    /* good practice */
    { 240, "title", "Title", 0, PRACTICE | POLICY, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, REQ | LIST, 0, 0 },
    { 241, "date", "Date", 0, PRACTICE, TYPE_DATE, 0, LEVEL_L1, MERGE_SURFACE, IDX, 0, 0 },
    { 242, "category", "Category", 0, PRACTICE, TYPE_CODE, V_PRACTICE_CATEGORY, LEVEL_L1, MERGE_SURFACE, REQ | IDX | LIST, 0, 0 },
    { 243, "description", "Description", 0, PRACTICE, TYPE_LOCALISED, 0, LEVEL_L1, MERGE_SURFACE, REQ, 0, 0 },
    { 244, "evidence", "Evidence", 0, PRACTICE, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 245, "replicability", "Replicability", 0, PRACTICE, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 246, "cleared_for_publication", "Cleared for publication", 0, PRACTICE, TYPE_BOOL, 0, LEVEL_L1, MERGE_SURFACE, LIST, 0, 0 },

    /* policy development */
    { 248, "actor_type", "Actor", 0, POLICY, TYPE_CODE, V_POLICY_ACTOR, LEVEL_L1, MERGE_SURFACE, REQ | IDX | LIST, 0, 0 },
    { 249, "instrument", "Instrument", 0, POLICY, TYPE_CODE, V_INSTRUMENT, LEVEL_L1, MERGE_SURFACE, REQ | IDX | LIST, 0, 0 },
    { 250, "symbol", "Symbol", 0, POLICY, TYPE_TEXT, 0, LEVEL_L0, MERGE_SURFACE, LIST, 0, 0 },
    { 251, "adopted_on", "Adopted on", 0, POLICY, TYPE_DATE, 0, LEVEL_L0, MERGE_SURFACE, IDX | LIST, 0, 0 },
    { 252, "effect", "Effect", 0, POLICY, TYPE_CODE, V_EFFECT, LEVEL_L1, MERGE_SURFACE, REQ | IDX | LIST, 0, 0 },
    { 253, "summary", "Summary", 0, POLICY, TYPE_LOCALISED, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 254, "url", "Address on the web", 0, POLICY, TYPE_TEXT, 0, LEVEL_L0, MERGE_SURFACE, 0, 0, 0 },

    /* reporting window */
    { 260, "from", "From", 0, WINDOW, TYPE_DATE, 0, LEVEL_L0, MERGE_SURFACE, REQ | LIST, 0, 0 },
    { 261, "to", "To", 0, WINDOW, TYPE_DATE, 0, LEVEL_L0, MERGE_SURFACE, REQ | LIST, 0, 0 },
    { 262, "report_symbol", "Symbol of the report", 0, WINDOW, TYPE_TEXT, 0, LEVEL_L0, MERGE_SURFACE, LIST, 0, 0 },
    { 263, "submission_deadline", "Deadline for submissions", 0, WINDOW, TYPE_DATE, 0, LEVEL_L0, MERGE_SURFACE, 0, 0, 0 },
    { 264, "word_limit", "Word limit", 0, WINDOW, TYPE_INTEGER, 0, LEVEL_L0, MERGE_SURFACE, 0, 0, 0 },
    { 265, "freeze_date", "Frozen on", 0, WINDOW, TYPE_DATE, 0, LEVEL_L0, MERGE_SURFACE, 0, 0, 0 },

    /* count stub: no link back to anybody */
    { 270, "country", "Country", 0, STUB, TYPE_COUNTRY, 0, LEVEL_L1, MERGE_SURFACE, REQ | IDX | LIST, 0, 0 },
    { 271, "act_group", "Groups of acts", 0, STUB, TYPE_CODE, V_ACT_GROUP, LEVEL_L1, MERGE_UNION, REQ | IDX | LIST, 0, 0 },

    /* b.3: who passed or refused what, before which step */
    { 280, "review.gate", "Gate", REVIEW, CASE, TYPE_CODE, V_GATE, LEVEL_L1, MERGE_SURFACE, REQ, 0, 0 },
    { 281, "review.step", "Step", REVIEW, CASE, TYPE_CODE, V_CASE_STATUS, LEVEL_L1, MERGE_SURFACE, REQ, 0, 0 },
    { 282, "review.decision", "Decision", REVIEW, CASE, TYPE_CODE, V_GATE_DECISION, LEVEL_L1, MERGE_PROTECTIVE, REQ, 0, 0 },
    { 283, "review.reason", "Reason", REVIEW, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },

    /* audit log: what one device read, exported or overrode in a month; who and when is in each entry */
    { 284, "month", "Month", 0, AUDIT, TYPE_DATE, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE | IDX | LIST, 0, 0 },
    { 285, "device", "Device", 0, AUDIT, TYPE_ACTOR, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE | LIST, 0, 0 },
    { 286, "event.operation", "What", EVENT, AUDIT, TYPE_CODE, V_AUDIT_OPERATION, LEVEL_L1, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 287, "event.record", "Record", EVENT, AUDIT, TYPE_RECORD, 0, LEVEL_L2, MERGE_SURFACE, ONCE, 0, 0 },
    { 288, "event.fields", "Fields", EVENT, AUDIT, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, ONCE, 0, 0 },
    { 289, "event.filter", "Conditions", EVENT, AUDIT, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, ONCE, 0, 0 },
    { 290, "event.reason", "Reason", EVENT, AUDIT, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, ONCE, 0, 0 },
    { 291, "event.count", "Records", EVENT, AUDIT, TYPE_INTEGER, 0, LEVEL_L1, MERGE_SURFACE, ONCE, 0, 0 },

    /* b.3: to save a life, and never to publish */
    { 300, "consent_override.person", "Person", CONSENT_OVERRIDE, CASE, TYPE_RECORD, 0, LEVEL_L2, MERGE_SURFACE, REQ | ONCE, KIND_PERSON, 0 },
    { 301, "consent_override.scope", "Scopes", CONSENT_OVERRIDE, CASE, TYPE_CODE, V_CONSENT_SCOPE, LEVEL_L2, MERGE_UNION, REQ | ONCE, 0, 0 },
    { 302, "consent_override.reason", "Why it saves a life", CONSENT_OVERRIDE, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 303, "consent_override.action", "Action", CONSENT_OVERRIDE, CASE, TYPE_ELEMENT, 0, LEVEL_L2, MERGE_SURFACE, ONCE, ACTION, 0 },
    /* b.2: who looked at an urgent case, since when it waits for that, why it is less urgent now, and facts that the rules ask for */
    { 310, "acknowledgement.urgency", "What was acknowledged", ACKNOWLEDGEMENT, CASE, TYPE_CODE, V_URGENCY, LEVEL_L1, MERGE_SURFACE, REQ | ONCE | IDX, 0, 0 },
    { 311, "acknowledgement.note", "What was done, or will be", ACKNOWLEDGEMENT, CASE, TYPE_LONG_TEXT, 0, LEVEL_L2, MERGE_SURFACE, ONCE, 0, 0 },
    { 312, "alert", "Waits to be acknowledged", 0, CASE, TYPE_CODE, V_URGENCY, LEVEL_L1, MERGE_UNION, IDX, 0, 0 },
    { 313, "lowering.reason", "Reason of the lowering", LOWERING, CASE, TYPE_TEXT, 0, LEVEL_L2, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 314, "act.hearing", "Next hearing", ACT, CASE, TYPE_DATE, 0, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    { 315, "exposure", "What got into other hands", 0, CASE, TYPE_CODE, V_EXPOSURE, LEVEL_L2, MERGE_UNION, 0, 0, 0 },

    /* looked at beside another record, and they are two */
    { 320, "not_same_as.record", "Other record", NOT_SAME_AS, CASE | PERSON, TYPE_RECORD, 0, LEVEL_L2, MERGE_SURFACE, REQ | IDX, 0, 0 },
    { 321, "not_same_as.reason", "Reason", NOT_SAME_AS, CASE | PERSON, TYPE_CODE, V_NOT_SAME_REASON, LEVEL_L2, MERGE_SURFACE, 0, 0, 0 },
    /* Which row of which source it was, by a keyed hash, and marks of the values that came with it. Of a stub nobody may tell, and the node itself writes logs and snapshots. */
    { 330, "imported_from.row", "Row of the source", IMPORTED_FROM, EVERY & ~(STUB | AUDIT | SNAPSHOT), TYPE_RECORD, 0, LEVEL_L1, MERGE_SURFACE, REQ | IDX, 0, 0 },
    { 331, "imported_from.source", "Source", IMPORTED_FROM, EVERY & ~(STUB | AUDIT | SNAPSHOT), TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, 0, 0, 0 },
    { 332, "imported_from.marks", "Marks of what came", IMPORTED_FROM, EVERY & ~(STUB | AUDIT | SNAPSHOT), TYPE_LONG_TEXT, 0, LEVEL_L1, MERGE_LATEST, 0, 0, 0 },
    { 333, "imported_from.protected_marks", "Marks of what came and is strict", IMPORTED_FROM, EVERY & ~(STUB | AUDIT | SNAPSHOT), TYPE_LONG_TEXT, 0, LEVEL_L3, MERGE_LATEST, 0, 0, 0 },
    /* What opens a file. Most show somebody, so the key is strict; it may be said of a file that it shows nobody. */
    { FIELD_ATTACHMENT_KEY, "attachment.key", "Key and hash of the content", ATTACHMENT, EVERY, TYPE_FILE_KEY, 0, LEVEL_L3, MERGE_SURFACE, ONCE, 0, 0 },
    { FIELD_ATTACHMENT_OPEN_KEY, "attachment.open_key", "Key and hash of a content that shows nobody", ATTACHMENT, EVERY, TYPE_FILE_KEY, 0, LEVEL_L2, MERGE_SURFACE, ONCE, 0, 0 },
    { FIELD_EVIDENCE_KEY, "evidence.key", "Key and hash of the content", EVIDENCE, CASE, TYPE_FILE_KEY, 0, LEVEL_L3, MERGE_SURFACE, ONCE, 0, 0 },
    { FIELD_EVIDENCE_OPEN_KEY, "evidence.open_key", "Key and hash of a content that shows nobody", EVIDENCE, CASE, TYPE_FILE_KEY, 0, LEVEL_L2, MERGE_SURFACE, ONCE, 0, 0 },

    /* snapshot of a window: what was counted, from which versions of which records, and up to where in each log */
    { 340, "window", "Reporting window", 0, SNAPSHOT, TYPE_RECORD, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE | IDX | LIST, KIND_REPORTING_WINDOW, 0 },
    { 341, "as_of", "Counted on", 0, SNAPSHOT, TYPE_DATE, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE | LIST, 0, 0 },
    { 342, "threshold", "Smallest number that is shown", 0, SNAPSHOT, TYPE_INTEGER, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 343, "codebook", "Codebook", 0, SNAPSHOT, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 344, "rules", "Version of the tables", 0, SNAPSHOT, TYPE_INTEGER, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 345, "record_count", "Records", 0, SNAPSHOT, TYPE_INTEGER, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE | LIST, 0, 0 },
    { 346, "seal", "Hash over all of it", 0, SNAPSHOT, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE | LIST, 0, 0 },
    { 350, "frontier.page", "Page", FRONTIER, SNAPSHOT, TYPE_INTEGER, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 351, "frontier.ends", "Ends", FRONTIER, SNAPSHOT, TYPE_LONG_TEXT, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 355, "versions.page", "Page", VERSIONS, SNAPSHOT, TYPE_INTEGER, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 356, "versions.list", "Versions", VERSIONS, SNAPSHOT, TYPE_LONG_TEXT, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 360, "figures.page", "Page", FIGURES, SNAPSHOT, TYPE_INTEGER, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 361, "figures.table", "Table", FIGURES, SNAPSHOT, TYPE_TEXT, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE, 0, 0 },
    { 362, "figures.content", "Figures", FIGURES, SNAPSHOT, TYPE_LONG_TEXT, 0, LEVEL_L1, MERGE_SURFACE, REQ | ONCE, 0, 0 },
};

/* clang-format on */

static const struct codebook reprisals = {
    CODEBOOK_VERSION, "reprisals",        kinds,        COUNT(kinds),        fields, COUNT(fields),
    collections,      COUNT(collections), vocabularies, COUNT(vocabularies),
};

const struct codebook *
codebook_reprisals(void)
{
    return &reprisals;
}
