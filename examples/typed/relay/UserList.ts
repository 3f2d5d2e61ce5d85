// A list of users for Relay: a fragment with pagination.

import { graphql } from "relay-runtime";

export const USERS = graphql`
  fragment UserList_query on Query
  @argumentDefinitions(first: { type: "Int", defaultValue: 20 }, after: { type: "String" })
  @refetchable(queryName: "UserListNextPageQuery") {
    users(first: $first, after: $after) @connection(key: "UserList_users") {
      edges {
        node {
          id
          username
          createdAt
        }
      }
    }
  }
`;

export const PAGE = graphql`
  query UserListQuery {
    me {
      id
      username
    }
    ...UserList_query
  }
`;
