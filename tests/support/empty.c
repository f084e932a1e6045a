/* Keeps the support library buildable whatever else it holds. */
typedef int tw_support_is_not_empty;
